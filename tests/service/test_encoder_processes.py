"""The encoder in processes of its own: the same answers, and what becomes of calls when a process dies."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pytest

from model.encoder import TextBatch
from model.errors import InputError, ModelError
from model.fake import FakeEncoder
from model.registry import load_encoder
from service.encoder_processes import EncoderProcesses

SECONDS = 60  # a bound on what would otherwise hang, never reached


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("held")
        self.lock = threading.Lock()


class Mortal(FakeEncoder):
    """Does to its process what a text says."""

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        if "die" in texts:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "refuse" in texts:
            raise InputError("That text is refused.")
        if "fail" in texts:
            raise Unpicklable
        return super().encode_texts(texts)


def no_model() -> FakeEncoder:
    raise ModelError("There is no such model.")


def ends_at_once() -> FakeEncoder:
    os._exit(3)


@pytest.fixture(scope="module")
def processes() -> Iterator[EncoderProcesses]:
    own = EncoderProcesses(Mortal, 2)
    yield own
    own.close()


def test_answers_as_the_encoder_does(processes: EncoderProcesses) -> None:
    encoder, texts = FakeEncoder(), ["a dog runs", "two cats"]
    clips = [np.full((2, 8, 8, 3), shade, np.uint8) for shade in (20, 200)]
    assert (processes.spec, processes.device) == (encoder.spec, "cpu")
    found, expected = processes.encode_texts(texts), encoder.encode_texts(texts)
    assert found.attributes == expected.attributes == processes.attributes(texts)
    seen = encoder.encode_clips(clips)
    for own, other in (
        (found.vectors, expected.vectors),
        (processes.encode_clips(clips), seen),
        (processes.text_queries(expected.vectors), encoder.text_queries(expected.vectors)),
        (processes.clip_queries(seen), encoder.clip_queries(seen)),
    ):
        assert own.keys() == other.keys()
        assert all(np.array_equal(own[level], other[level]) for level in other)
    assert processes.concepts(seen, expected.attributes) == encoder.concepts(seen, expected.attributes)
    assert processes.attributes([]) == processes.concepts(seen, []) == []


def test_errors_come_back_as_they_are_or_by_name(processes: EncoderProcesses) -> None:
    with pytest.raises(InputError, match="That text is refused"):
        processes.encode_texts(["refuse"])
    with pytest.raises(ModelError, match="Unpicklable: held"):
        processes.encode_texts(["fail"])


def test_a_crash_fails_its_call_alone_and_the_process_is_replaced() -> None:
    own, back = EncoderProcesses(Mortal, 1), threading.Event()
    own.restarted = back.set
    try:
        with pytest.raises(ModelError, match=r"ended with signal SIGSEGV\. Another takes its place"):
            own.encode_texts(["die"])
        # There is no other process: this call waits for the new one.
        assert own.encode_texts(["a dog"]).attributes == FakeEncoder().attributes(["a dog"])
        assert back.wait(SECONDS)
    finally:
        own.close()


def test_the_reason_for_not_loading_is_told() -> None:
    with pytest.raises(ModelError, match="There is no such model"):
        EncoderProcesses(no_model, 1)
    with pytest.raises(ModelError, match=r"ended with status 3\. It was still loading"):
        EncoderProcesses(ends_at_once, 1)
    with pytest.raises(ModelError, match="nowhere"):
        EncoderProcesses(partial(load_encoder, "nowhere"), 1)


def test_after_closing_calls_are_refused() -> None:
    own = EncoderProcesses(FakeEncoder, 1)
    own.close()
    own.close()
    for _ in range(2):
        with pytest.raises(ModelError, match=r"stopping|ended"):
            own.encode_texts(["a dog"])
