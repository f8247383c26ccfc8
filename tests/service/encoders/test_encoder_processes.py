"""The encoder in processes of its own: the same answers, and what becomes of calls when a process dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from model.encoder import Frames, TextBatch
from model.fake_encoder import FakeEncoder
from model.language.parsed_caption import Attributes
from model.levels import WORDS, Vectors
from model.mcsan.concept_heads import ConceptHead, ConceptReader
from model.registry import load_encoder
from quartet.errors import InputError, ModelError
from service.encoders.encoder_processes import EncoderProcesses
from tests.service.conftest import write_video

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


class Staged(Mortal):
    """A parse is the text and the process that made it; the networks do to their process what a text says."""

    def parse(self, texts: Sequence[str]) -> list[tuple[str, int]]:
        if "die parsing" in texts:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "unreadable" in texts:
            raise InputError("That text cannot be read.")
        return [(text, os.getpid()) for text in texts]

    def tokenize(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def forward(self, tokens: list[str]) -> list[str]:
        self.encode_texts(tokens)
        return tokens

    def finish(self, parses: Sequence[tuple[str, int]], states: list[str]) -> TextBatch:
        elsewhere = "elsewhere" if all(maker != os.getpid() for _, maker in parses) else "here"
        assert [text for text, _ in parses] == states
        encoded = self.encode_texts(states)
        return TextBatch(encoded.vectors, [Attributes([elsewhere]) for _ in states])


class Reading(Mortal):
    """Has concept heads: the first number of a vector says dog, the second cat."""

    concepts = ConceptReader(
        {
            "entity": ConceptHead(
                {"dog": 0, "cat": 1}, np.eye(2, dtype=np.float32), np.zeros(2, "f"), ("entity",), 0.5, 0
            )
        }
    )


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
    found, expected = processes.encode_queries(texts), encoder.encode_texts(texts)
    assert found.attributes == expected.attributes == processes.attributes(texts)
    seen = encoder.encode_clips(clips)
    for own, other in (
        (found.vectors, encoder.text_queries(expected.vectors)),
        (processes.encode_clips(clips), seen),
        (processes.clip_queries(seen), encoder.clip_queries(seen)),
    ):
        assert own.keys() - {WORDS} == other.keys()  # what a sentence asks texts is for its encoder to say
        assert all(np.array_equal(own[level], other[level]) for level in other)
    assert processes.concepts(seen, expected.attributes) == encoder.concepts(seen, expected.attributes)
    assert processes.attributes([]) == processes.concepts(seen, []) == []


def test_errors_come_back_as_they_are_or_by_name(processes: EncoderProcesses) -> None:
    with pytest.raises(InputError, match="That text is refused"):
        processes.encode_queries(["refuse"])
    with pytest.raises(ModelError, match="Unpicklable: held"):
        processes.encode_queries(["fail"])


def test_a_crash_fails_its_call_alone_and_the_process_is_replaced() -> None:
    own, back = EncoderProcesses(Mortal, 1), threading.Event()
    own.restarted.add(back.set)
    try:
        with pytest.raises(ModelError, match=r"ended with signal SIGSEGV\. A new process is starting"):
            own.encode_queries(["die"])
        # There is no other process: this call waits for the new one.
        assert own.encode_queries(["a dog"]).attributes == FakeEncoder().attributes(["a dog"])
        assert back.wait(SECONDS)
    finally:
        own.close()


def parsed_where(encoder: EncoderProcesses, text: str = "a dog") -> str:
    (found,) = encoder.encode_queries([text]).attributes
    return found.entity[0]


def test_a_process_with_nothing_to_do_parses_for_another() -> None:
    own, back = EncoderProcesses(Staged, 2), threading.Event()
    own.restarted.add(back.set)
    try:
        expected = FakeEncoder().text_queries(FakeEncoder().encode_texts(["a dog"]).vectors)
        found = own.encode_queries(["a dog"])
        # What was parsed relates nothing to anything, so the question has no relation level.
        assert not found.vectors["relation"].any()
        assert all(np.array_equal(found.vectors[level], expected[level]) for level in expected if level != "relation")
        assert found.attributes == own.encode_queries(["two cats"]).attributes == [Attributes(["elsewhere"])]
        # The parses of a text that the networks refuse are not taken for those of the next.
        with pytest.raises(InputError, match="That text is refused"):
            own.encode_queries(["refuse"])
        # Who is to use a parse that failed tries for himself, which tells why.
        with pytest.raises(InputError, match="That text cannot be read"):
            own.encode_queries(["unreadable"])
        assert own.encode_queries(["a dog"]).attributes == [Attributes(["elsewhere"])]
        with pytest.raises(ModelError, match="SIGSEGV"):
            own.encode_queries(["die parsing"])
        assert own.encode_queries(["a dog"]).vectors.keys() >= expected.keys() and back.wait(SECONDS)
    finally:
        own.close()


def test_concepts_that_need_no_network_are_read_here() -> None:
    own = EncoderProcesses(Reading, 1)
    own.close()
    rows = {"entity": np.array([[1, 0], [0, 1]], np.float32)}
    asked = [Attributes(["dog", "cat", "axolotl"])] * 2
    assert own.concepts(rows, asked) == [Attributes(["dog"]), Attributes(["cat"])]


def test_the_reason_for_not_loading_is_told() -> None:
    with pytest.raises(ModelError, match="There is no such model"):
        EncoderProcesses(no_model, 1)
    with pytest.raises(ModelError, match=r"ended with status 3\. It was loading"):
        EncoderProcesses(ends_at_once, 1)
    with pytest.raises(ModelError, match="nowhere"):
        EncoderProcesses(partial(load_encoder, "nowhere"), 1)


def test_after_closing_calls_are_refused() -> None:
    own = EncoderProcesses(FakeEncoder, 1)
    own.close()
    own.close()
    for _ in range(2):
        with pytest.raises(ModelError, match=r"stopping|ended"):
            own.encode_queries(["a dog"])


class Stopping(FakeEncoder):
    """Stops its process, as `kill -STOP` does."""

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        if "stop" in texts:
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().encode_texts(texts)


def test_a_process_that_does_not_answer_in_time_is_replaced() -> None:
    own, back = EncoderProcesses(Stopping, 1, timeout=3), threading.Event()
    own.restarted.add(back.set)
    try:
        with pytest.raises(ModelError, match="did not answer in time"):
            own.encode_queries(["stop"])
        # One that is stopped takes no message either, and this one is larger than a pipe.
        assert back.wait(SECONDS) and own.alive == 1
        os.kill(own.pids[0], signal.SIGSTOP)
        back.clear()
        with pytest.raises(ModelError, match="did not answer in time"):
            own.encode_clips([np.zeros((64, 64, 64, 3), np.uint8)])
        assert back.wait(SECONDS)
        assert own.encode_queries(["a dog"]).attributes == FakeEncoder().attributes(["a dog"])
    finally:
        own.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_all_processes_share_the_libraries_of_one_server() -> None:
    own, back = EncoderProcesses(FakeEncoder, 2), threading.Event()
    own.restarted.add(back.set)
    try:
        (server,) = {parent_of(pid) for pid in own.pids}
        assert server != os.getpid()
        os.kill(own.pids[0], signal.SIGKILL)
        while own.alive == 2:
            pass
        for _ in range(2):  # both processes are asked in turn; the one that has ended is found then
            own.encode_queries(["a dog"])
        assert back.wait(SECONDS)
        assert [parent_of(pid) for pid in own.pids] == [server] * 2
    finally:
        own.close()


class Telling(FakeEncoder):
    """Tells of clips and of texts which process has encoded them."""

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return {"global": np.array([[os.getpid()]])}

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return [Attributes([str(os.getpid())])]


def test_where_frames_take_pytorch_one_process_sees_them() -> None:
    own, back = EncoderProcesses(Telling, 2), threading.Event()
    own.restarted.add(back.set)
    own._encoder = replace(own._encoder, loads_clips_late=True)

    def seen_by() -> int:
        return int(own.encode_clips([np.zeros((1, 8, 8, 3), np.uint8)])["global"][0, 0])

    try:
        first = seen_by()
        (other,) = set(own.pids) - {first}
        assert [seen_by(), seen_by()] == [first, first]
        assert {one.entity[0] for _ in range(3) for one in own.attributes(["a dog"])} == {str(other)}
        os.kill(first, signal.SIGKILL)
        while own.alive == 2:
            pass
        assert seen_by() != first and back.wait(SECONDS)
    finally:
        own.close()


def test_a_process_that_ends_with_nothing_to_do_costs_no_call() -> None:
    own, back = EncoderProcesses(FakeEncoder, 1), threading.Event()
    own.restarted.add(back.set)
    try:
        (before,) = own.pids
        os.kill(before, signal.SIGKILL)
        while own.alive:
            pass
        assert own.encode_queries(["a dog"]).attributes == FakeEncoder().attributes(["a dog"])
        assert back.wait(SECONDS) and own.pids != [before]
    finally:
        own.close()


def once(flag: str) -> FakeEncoder:
    """Loads as long as the file is there."""
    if not Path(flag).exists():
        raise ModelError("The model is gone.")
    return FakeEncoder()


def test_without_a_process_calls_are_told_so_at_once_until_one_starts(tmp_path: Path) -> None:
    flag = tmp_path / "model"
    flag.touch()
    own, back = EncoderProcesses(partial(once, str(flag)), 1), threading.Event()
    own.restarted.add(back.set)
    try:
        flag.unlink()
        os.kill(own.pids[0], signal.SIGKILL)
        # A call that went to the process before its end was seen is told of that end.
        told = ""
        while "A new process is starting" in told or not told:
            with pytest.raises(ModelError) as refused:
                own.encode_queries(["a dog"])
            told = str(refused.value)
        assert re.search(r"No model process is running.*The model is gone", told)
        assert own.alive == 0
        flag.touch()
        assert back.wait(SECONDS)
        assert own.encode_queries(["a dog"]).vectors
    finally:
        own.close()


def test_the_server_of_processes_loads_the_parser_and_imports_nothing_that_questions_do_not_need() -> None:
    program = """
import importlib, sys
from service.encoders.encoder_worker import LIBRARIES
for name in LIBRARIES:
    importlib.import_module(name)
from model.language.spacy_parser import _PREPARED
print("openvino" in sys.modules, sys.modules["openvino_telemetry"], len(_PREPARED), flush=True)
print([name for name in ("torch", "spacy.cli", "openvino.tools.ovc") if name in sys.modules], flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "None", "1", "[]"], done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_an_upload_may_fill_memory_on_top_of_what_the_libraries_take(tmp_path: Path) -> None:
    """In a process of its own: the first user of the server decides what it imports."""
    program = """
import resource, sys
from pathlib import Path
from indexer.media.decode_limits import Limits
from indexer.media.decode_pool import decode_untrusted
from model.fake_encoder import FakeEncoder
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.encoder_worker import WITH_PYTORCH
from tests.service.encoders.test_encoder_processes import parent_of
own = EncoderProcesses(FakeEncoder, 1, libraries=WITH_PYTORCH)
taken = int(Path(f"/proc/{parent_of(own.pids[0])}/statm").read_text().split()[0]) * resource.getpagesize()
print(taken > 2**29, len(decode_untrusted(Path(sys.argv[1]), 3, Limits(memory=2**29)).frames))
own.close()
"""
    write_video(tmp_path / "small.mp4", (9, 9, 200))
    command = [sys.executable, "-c", program, str(tmp_path / "small.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "3"]


def test_the_server_of_processes_ends_without_a_word() -> None:
    program = """
from model.fake_encoder import FakeEncoder
from service.encoders.encoder_processes import EncoderProcesses
EncoderProcesses(FakeEncoder, 1).close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_without_room_for_a_server_processes_start_on_their_own(tmp_path: Path) -> None:
    """The address of the server is a path of at most 107 bytes below TMPDIR."""
    program = """
import logging
from model.fake_encoder import FakeEncoder
from service.encoders.encoder_processes import EncoderProcesses
logging.basicConfig()
own = EncoderProcesses(FakeEncoder, 1)
print(len(own.encode_queries(["a dog"]).attributes))
own.close()
"""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    environment = {**os.environ, "TMPDIR": str(long)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
    assert "TMPDIR" in done.stderr or sys.platform != "linux"
