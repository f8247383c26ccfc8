"""Texts by recorded graphs: padded sizes, the same vectors, what is forgotten and what happens when CUDA refuses.

Graphs need a GPU: here what they hold is computed again, from and to the same places in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model import cuda_graphs
from model.cuda_graphs import Function, GraphedFunction, RecordedGraph, Recorder, padded_size
from model.language.parsed_caption import ParsedCaption
from model.language.sentence_encoder import SentenceEncoder, encode_captions
from model.levels import LEVEL_NAMES
from model.mcsan import layers
from model.mcsan.layers import unit
from model.mcsan.text_features import collate
from model.mcsan.text_tower import with_cuda_graphs
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from tests.model.mcsan.test_towers import CAPTIONS, SWITCHED, TINY, model_of
from tests.two_towers import write_clip, write_siglip

CPU = torch.device("cpu")

WAYS = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]

TEXTS = ["a dog", "two men are riding horses over the grass, and a third one watches them from far away", "Ball!", ""]


class Rerun:
    """A recorder for the CPU. `sizes` lists the shapes of the first input that it was asked for."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, function: Function, inputs: dict[str, Tensor]) -> RecordedGraph:
        self.sizes.append(tuple(next(iter(inputs.values())).shape))
        outputs = function(inputs)

        def replay() -> None:
            for kept, new in zip(outputs, function(inputs), strict=True):
                kept.copy_(new)

        return RecordedGraph(inputs, outputs, replay)


def recorder_on(device: str) -> Callable[..., RecordedGraph]:
    return Rerun() if device == "cpu" else Recorder()


def sums(inputs: cuda_graphs.Inputs) -> tuple[Tensor, ...]:
    """Sums of rows (B, L), and the doubles of their values."""
    return inputs["x"].sum(1), 2 * inputs["x"]


def graphed_sums(recorder: Callable[..., RecordedGraph], function: Function = sums) -> GraphedFunction:
    return GraphedFunction(function, {"x": "BL"}, ("B", "BL"), {"B": 8, "L": 20}, recorder=recorder)


def test_sizes_are_padded_to_a_few() -> None:
    assert [padded_size(n, 64, 1) for n in (1, 2, 3, 5, 33, 64)] == [1, 2, 4, 8, 64, 64]
    assert [padded_size(n, 77) for n in (1, 8, 9, 64, 65, 77, 78)] == [8, 8, 16, 64, 77, 77, 77]


@pytest.mark.parametrize("device", WAYS)
def test_one_graph_serves_all_sizes_that_it_is_padded_to(device: str) -> None:
    recorder = recorder_on(device)
    own = graphed_sums(recorder)
    for b, length in [(3, 5), (4, 8), (3, 1), (3, 5), (8, 20), (7, 17)]:
        x = torch.randn(b, length)
        rows, doubles = own({"x": x}, torch.device(device))
        torch.testing.assert_close(rows.cpu(), x.sum(1))
        assert torch.equal(doubles.cpu(), 2 * x)
    assert len(own) == 2
    if isinstance(recorder, Rerun):
        assert recorder.sizes == [(4, 8), (8, 20)]


def test_what_is_too_large_for_a_graph_is_computed_without() -> None:
    recorder = Rerun()
    own = graphed_sums(recorder)
    for shape in [(9, 3), (3, 21)]:
        x = torch.randn(shape)
        assert torch.equal(own({"x": x}, CPU)[1], 2 * x)
    assert not recorder.sizes


def test_results_outlive_the_next_replay() -> None:
    own = graphed_sums(Rerun())
    first = own({"x": torch.ones(2, 8)}, CPU)[1]
    own({"x": torch.zeros(2, 8)}, CPU)
    assert torch.equal(first, torch.full((2, 8), 2.0))


def test_the_graph_unused_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 2)
    recorder = Rerun()
    own = graphed_sums(recorder)
    for rows in (1, 2, 1, 4, 1, 2):
        own({"x": torch.ones(rows, 8)}, CPU)
    assert [size[0] for size in recorder.sizes] == [1, 2, 4, 2]
    assert len(own) == 2


def test_threads_get_what_they_asked_for() -> None:
    own = graphed_sums(Rerun())
    together = threading.Barrier(4)

    def ask(number: int) -> bool:
        together.wait()
        x = torch.full((1 + number % 2, 8), float(number))
        return all(torch.equal(own({"x": x}, CPU)[1], 2 * x) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


def test_where_cuda_refuses_texts_are_encoded_without(caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def refuse(function: Function, inputs: dict[str, Tensor]) -> RecordedGraph:
        tries.append(len(inputs["x"]))
        raise torch.OutOfMemoryError("CUDA out of memory")

    own = graphed_sums(refuse)
    for rows in (1, 2, 1):
        assert torch.equal(own({"x": torch.ones(rows, 3)}, CPU)[0], torch.full((rows,), 3.0))
    assert tries == [1]
    assert [record.getMessage() for record in caplog.records] == ["CUDA graphs are off for texts: CUDA out of memory"]


def test_a_graph_that_is_wrong_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """As of a network that reads padding."""
    own = graphed_sums(Rerun(), lambda inputs: (inputs["x"].mean(1), inputs["x"]))
    x = torch.ones(2, 5)
    assert torch.equal(own({"x": x}, CPU)[0], torch.ones(2))
    assert own.failed
    assert "returns other vectors than the network itself" in caplog.text


@pytest.mark.parametrize("device", WAYS)
@pytest.mark.parametrize("write", [write_clip, write_siglip])
def test_a_two_tower_model_reads_the_same(tmp_path: Path, write: Callable[[Path], Path], device: str) -> None:
    tower = TwoTower(write(tmp_path / "tower"), device)
    captions = [ParsedCaption(text, ("a",), ((0, 1),), (), ()) for text in TEXTS]
    sentences = TwoTowerSentences(tower)
    plainly, words = tower.texts(TEXTS), [e.words for e in encode_captions(sentences, captions)]
    tower.use_graphs(recorder_on(device))
    for texts in (TEXTS, TEXTS[:3], TEXTS[2:], TEXTS[:1] * 65):
        torch.testing.assert_close(
            tower.texts(texts), torch.stack([plainly[TEXTS.index(t)] for t in texts]), atol=2e-6, rtol=0
        )
    for one, other in zip(encode_captions(sentences, captions), words, strict=True):
        torch.testing.assert_close(torch.from_numpy(one.words), torch.from_numpy(other), atol=2e-3, rtol=2e-3)
    assert tower._graphed is not None and len(tower._graphed) > 1 and not tower._graphed.failed


@pytest.mark.parametrize("device", WAYS)
def test_the_sentence_encoder_gives_the_same(device: str) -> None:
    sentences = SentenceEncoder(device)
    captions = [ParsedCaption(text, ("a",), ((0, 1),), (), ()) for text in TEXTS]
    plainly = encode_captions(sentences, captions)
    sentences.use_graphs(recorder_on(device))
    for chosen in (range(4), range(3), [1], [3]):
        for i, found in zip(chosen, encode_captions(sentences, [captions[i] for i in chosen]), strict=True):
            torch.testing.assert_close(
                torch.from_numpy(found.sentence), torch.from_numpy(plainly[i].sentence), atol=2e-6, rtol=0
            )
    assert sentences._graphed is not None and len(sentences._graphed) == 3 and not sentences._graphed.failed


@pytest.mark.parametrize("device", WAYS)
@pytest.mark.parametrize("config", [TINY, SWITCHED])
@torch.inference_mode()
def test_the_levels_are_the_same(config: object, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph holds on a GPU: no step whose size depends on how many words are real."""
    model = model_of(config)
    expected = {name: unit(model.text(collate(CAPTIONS)))[name] for name in LEVEL_NAMES}
    monkeypatch.setattr(layers, "skips_padding", lambda x: False)
    own = with_cuda_graphs(model.to(device).text, recorder_on(device))
    for chosen in ([0, 1, 2, 4, 5], [1], [4], [2, 5], [3]):
        text = collate([CAPTIONS[i] for i in chosen])
        rows = own(text.tensors(), torch.device(device))
        found = unit(dict(zip(LEVEL_NAMES, rows, strict=True)))
        for name in LEVEL_NAMES:
            torch.testing.assert_close(found[name].cpu(), expected[name][chosen], atol=1e-5, rtol=0)
    assert len(own) == 3 and not own.failed  # a caption of 100 words is too long for one


@torch.inference_mode()
def test_no_step_of_the_levels_asks_for_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the device "meta" have none, as there are none for the processor while a graph is recorded."""
    tower = model_of(SWITCHED).to("meta").text
    text = collate(CAPTIONS).to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        tower(text)
    monkeypatch.setattr(layers, "skips_padding", lambda x: False)
    assert {name: len(rows) for name, rows in tower(text).items()} == dict.fromkeys(LEVEL_NAMES, len(CAPTIONS))
