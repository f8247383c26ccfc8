"""The workers that gather requests into batches. Threads are steered by events, never by sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future

import pytest

from quartet.errors import BusyError, ModelError
from service.encoders.worker_pool import WorkerPool
from service.search.result_cache import ResultCache

SECONDS = 10  # a bound on what would otherwise hang, never reached


class Gate:
    """A handler that records its batches and, while closed, holds the worker inside of a call."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, payloads: Sequence[str]) -> list[object]:
        self.batches.append(list(payloads))
        self.entered.release()
        assert self.opened.wait(SECONDS)
        return [ValueError(payload) if payload == "bad" else payload.upper() for payload in payloads]


class Watcher:
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.restarted = threading.Event()

    def batch_done(self, kind: str, size: int) -> None:
        self.sizes.append(size)

    def worker_restarted(self) -> None:
        self.restarted.set()


def fail(payloads: Sequence[str]) -> list[str]:
    raise ValueError("bad weights")


def exit_thread(payloads: Sequence[str]) -> list[str]:
    raise SystemExit(3)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def make(gate: Gate) -> Iterator[Callable[..., WorkerPool]]:
    """Makes pools and closes them in the end."""
    made: list[WorkerPool] = []

    def make(**options: object) -> WorkerPool:
        handlers = {"text": gate, "other": list, "fail": fail, "exit": exit_thread, "lost": lambda payloads: []}
        given = {"workers": 1, "max_batch": 3, "max_waiting": 5, "retry_after": 2.5, **options}
        made.append(WorkerPool(handlers, **given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    gate.opened.set()
    for pool in made:
        pool.close()


@pytest.fixture
def pool(make: Callable[..., WorkerPool]) -> WorkerPool:
    return make()


def hold(pool: WorkerPool, gate: Gate, payload: str = "first", size: int = 1) -> Future[object]:
    """Put a worker inside of a call, so that what follows has to wait."""
    future = pool.submit("text", payload, size)
    assert gate.entered.acquire(timeout=SECONDS)
    return future


def test_answers_a_job(pool: WorkerPool, gate: Gate) -> None:
    gate.opened.set()
    assert pool.submit("text", "a").result(SECONDS) == "A"


def test_gathers_what_waits_of_one_kind_up_to_the_limit(pool: WorkerPool, gate: Gate) -> None:
    hold(pool, gate)
    texts = [pool.submit("text", text) for text in "ab"]
    other = pool.submit("other", 7)
    texts += [pool.submit("text", text) for text in "cd"]
    gate.opened.set()
    assert [text.result(SECONDS) for text in texts] == ["A", "B", "C", "D"]
    assert other.result(SECONDS) == 7
    assert gate.batches == [["first"], ["a", "b", "c"], ["d"]]


def test_a_worker_leaves_an_equal_share_to_the_others(make: Callable[..., WorkerPool], gate: Gate) -> None:
    pool = make(workers=2, max_batch=100, max_waiting=100)
    hold(pool, gate, "first", 3)
    hold(pool, gate, "second")
    jobs = [pool.submit("text", str(i)) for i in range(7)]
    gate.opened.set()
    for job in jobs:
        job.result(SECONDS)
    # Seven wait and at least one is being worked on by the other: no share is more than half of them all.
    assert max(map(len, gate.batches)) <= 5
    assert sorted(text for batch in gate.batches[2:] for text in batch) == [str(i) for i in range(7)]


def test_a_job_of_several_items_counts_as_many(pool: WorkerPool, gate: Gate) -> None:
    hold(pool, gate)
    first, second = pool.submit("text", "a", 2), pool.submit("text", "b", 2)
    assert pool.waiting == 4
    with pytest.raises(BusyError):
        pool.submit("text", "c", 2)
    gate.opened.set()
    assert (first.result(SECONDS), second.result(SECONDS)) == ("A", "B")
    assert gate.batches == [["first"], ["a"], ["b"]]


def test_a_full_line_refuses_and_lets_in_again(pool: WorkerPool, gate: Gate) -> None:
    hold(pool, gate)
    waiting = [pool.submit("text", text) for text in "abcde"]
    with pytest.raises(BusyError) as caught:
        pool.submit("text", "f")
    assert caught.value.retry_after == 2.5
    assert waiting[0].cancel()
    late = pool.submit("text", "f")
    gate.opened.set()
    assert late.result(SECONDS) == "F"
    assert "a" not in [text for batch in gate.batches for text in batch]


def test_an_error_fails_its_batch_and_nothing_else(pool: WorkerPool, gate: Gate) -> None:
    gate.opened.set()
    with pytest.raises(ValueError, match="bad weights"):
        pool.submit("fail", "a").result(SECONDS)
    with pytest.raises(ValueError, match="zip"):
        pool.submit("lost", "a").result(SECONDS)
    assert pool.submit("text", "b").result(SECONDS) == "B"


def test_one_job_of_a_batch_may_fail_alone(pool: WorkerPool, gate: Gate) -> None:
    hold(pool, gate)
    bad, good = pool.submit("text", "bad"), pool.submit("text", "good")
    gate.opened.set()
    assert good.result(SECONDS) == "GOOD"
    with pytest.raises(ValueError, match="bad"):
        bad.result(SECONDS)
    assert gate.batches[1] == ["bad", "good"]


def test_a_cancelled_job_is_not_worked_on(pool: WorkerPool, gate: Gate) -> None:
    hold(pool, gate)
    dropped, kept = pool.submit("text", "dropped"), pool.submit("text", "kept")
    assert dropped.cancel()
    gate.opened.set()
    assert kept.result(SECONDS) == "KEPT"
    assert gate.batches == [["first"], ["kept"]]
    with pytest.raises(CancelledError):
        dropped.result(SECONDS)


def test_a_crash_fails_its_batch_at_once_and_another_worker_goes_on(
    make: Callable[..., WorkerPool], gate: Gate
) -> None:
    watcher = Watcher()
    pool = make(observer=watcher)
    hold(pool, gate)
    deadly, after = pool.submit("exit", "a"), pool.submit("text", "b")
    gate.opened.set()
    with pytest.raises(ModelError, match="crashed with SystemExit"):
        deadly.result(SECONDS)
    assert after.result(SECONDS) == "B"
    assert watcher.restarted.wait(SECONDS) and pool.alive
    assert watcher.sizes == [1, 1, 1]


def test_closing_fails_what_still_waits(pool: WorkerPool, gate: Gate) -> None:
    first = hold(pool, gate)
    waiting = pool.submit("text", "b")
    closer = threading.Thread(target=pool.close)
    closer.start()
    with pytest.raises(ModelError, match="stopping"):
        waiting.result(SECONDS)
    gate.opened.set()
    closer.join(SECONDS)
    assert not closer.is_alive() and first.result(SECONDS) == "FIRST" and not pool.alive
    with pytest.raises(ModelError, match="stopping"):
        pool.submit("text", "c")


def test_recent_results_are_made_once_and_the_oldest_given_up() -> None:
    made: list[list[str]] = []

    def make(keys: list[str]) -> list[str]:
        made.append(keys)
        return [key.upper() for key in keys]

    recent: ResultCache[str, str] = ResultCache(2)
    assert recent.get(["a", "b", "a"], make) == ["A", "B", "A"]
    assert recent.get(["a"], make) == ["A"]
    assert recent.get(["c", "b"], make) == ["C", "B"]
    assert recent.get(["a"], make) == ["A"]
    assert made == [["a", "b"], ["c"], ["a"]]
    assert (recent.hits, recent.misses, len(recent)) == (2, 5, 2)
    never: ResultCache[str, str] = ResultCache(0)
    assert never.get(["a"], make) == ["A"] and len(never) == 0
