"""The worker that owns the encoder. Threads are steered by events, never by sleeping."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from model.errors import BusyError, ModelError
from service.batching import BatchWorker

SECONDS = 10  # a bound on what would otherwise hang, never reached


class Gate:
    """A handler that records its batches and, while closed, holds the worker inside of a call."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, payloads: Sequence[str]) -> list[str]:
        self.batches.append(list(payloads))
        self.entered.set()
        assert self.opened.wait(SECONDS)
        return [payload.upper() for payload in payloads]


def fail(payloads: Sequence[str]) -> list[str]:
    raise ValueError("bad weights")


def exit_thread(payloads: Sequence[str]) -> list[str]:
    raise SystemExit(3)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def worker(gate: Gate) -> Iterator[BatchWorker]:
    handlers = {"text": gate, "other": list, "fail": fail, "exit": exit_thread}
    worker = BatchWorker(handlers, max_batch=3, max_waiting=5, retry_after=2.5)
    yield worker
    gate.opened.set()
    worker.close()


def hold(worker: BatchWorker, gate: Gate) -> None:
    """Put the worker inside of a call, so that what follows has to wait."""
    worker.submit("text", "first")
    assert gate.entered.wait(SECONDS)


def test_answers_a_job(worker: BatchWorker, gate: Gate) -> None:
    gate.opened.set()
    assert worker.submit("text", "a").result(SECONDS) == "A"


def test_gathers_what_waits_of_one_kind_up_to_the_limit(worker: BatchWorker, gate: Gate) -> None:
    hold(worker, gate)
    texts = [worker.submit("text", text) for text in "ab"]
    other = worker.submit("other", 7)
    texts += [worker.submit("text", text) for text in "cd"]
    gate.opened.set()
    assert [text.result(SECONDS) for text in texts] == ["A", "B", "C", "D"]
    assert other.result(SECONDS) == 7
    assert gate.batches == [["first"], ["a", "b", "c"], ["d"]]


def test_a_full_queue_refuses_but_lets_later_steps_in(worker: BatchWorker, gate: Gate) -> None:
    hold(worker, gate)
    for text in "abcde":
        worker.submit("text", text)
    with pytest.raises(BusyError) as caught:
        worker.submit("text", "f")
    assert caught.value.retry_after == 2.5
    admitted = worker.submit("other", 8, admitted=True)
    gate.opened.set()
    assert admitted.result(SECONDS) == 8


def test_an_error_fails_its_batch_and_nothing_else(worker: BatchWorker, gate: Gate) -> None:
    gate.opened.set()
    with pytest.raises(ValueError, match="bad weights"):
        worker.submit("fail", "a").result(SECONDS)
    assert worker.alive
    assert worker.submit("text", "b").result(SECONDS) == "B"


def test_a_handler_that_loses_a_result_fails_its_batch(gate: Gate) -> None:
    worker = BatchWorker({"text": lambda payloads: []}, max_batch=3, max_waiting=5, retry_after=1)
    with pytest.raises(ValueError, match="zip"):
        worker.submit("text", "a").result(SECONDS)
    worker.close()


def test_a_cancelled_job_is_not_encoded(worker: BatchWorker, gate: Gate) -> None:
    hold(worker, gate)
    dropped = worker.submit("text", "dropped")
    kept = worker.submit("text", "kept")
    assert dropped.cancel()
    gate.opened.set()
    assert kept.result(SECONDS) == "KEPT"
    assert gate.batches == [["first"], ["kept"]]
    with pytest.raises(CancelledError):
        dropped.result(SECONDS)


def test_a_dead_worker_fails_its_callers_at_once(worker: BatchWorker, gate: Gate) -> None:
    hold(worker, gate)
    deadly = worker.submit("exit", "a")
    waiting = worker.submit("text", "b")
    gate.opened.set()
    for job in (deadly, waiting):
        with pytest.raises(ModelError, match="stopped after SystemExit"):
            job.result(SECONDS)
    assert not worker.alive
    with pytest.raises(ModelError, match="Restart the service"):
        worker.submit("text", "c")


def test_closing_fails_what_still_waits(worker: BatchWorker, gate: Gate) -> None:
    hold(worker, gate)
    waiting = worker.submit("text", "b")
    closer = threading.Thread(target=worker.close)
    closer.start()
    while worker.alive:
        pass
    gate.opened.set()
    closer.join(SECONDS)
    assert not closer.is_alive()
    with pytest.raises(ModelError, match="has stopped"):
        waiting.result(SECONDS)
