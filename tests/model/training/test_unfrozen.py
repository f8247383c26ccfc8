"""Training the text tower of a two-tower model with MCSAN: what it learns, what it leaves alone, what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.spacy_parser import SpacyParser
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.config import Preset
from model.mcsan.encoder import McsanEncoder
from model.mcsan.layers import unit
from model.mcsan.network import MCSAN
from model.mcsan.presets import CLIP, PLUS
from model.mcsan.text_features import TextFeaturizer, collate
from model.training.data.batches import Pairs
from model.training.data.dataset import CaptionedVideo, VideoText, Vocabularies
from model.training.fitting.centre_fit import SHARE
from model.training.loop import feature_training as run
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.mcsan_matcher import mcsan_matcher
from model.training.loop.run_record import History
from model.training.loop.single_run import fit, vocabularies_of
from model.training.loop.unfrozen_matcher import UnfrozenMatcher
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import InputError
from tests.two_towers import write_clip, write_siglip

WRITERS = pytest.mark.parametrize("write", [write_clip, write_siglip])
Write = Callable[[Path], Path]
CAPTIONS = (
    "a red dog chases two small cats over the wet grass",
    "a man is riding a horse",
    "sunset",
    "two women dance in a kitchen, and nobody sees them, and then they all jump over a very long box",
    "somebody jumps over a box",
    "a bird flies",
)
EPOCHS = 4


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


class World:
    """A tiny two-tower model, and six clips with a caption each that it has not seen."""

    def __init__(self, folder: Path, parser: SpacyParser, epochs: int = EPOCHS) -> None:
        self.tower = TwoTower(folder)
        self.tower.centre = 0.0  # the random one of the tiny SigLIP saturates the global level
        self.sentences = TwoTowerSentences(self.tower)
        rng = np.random.default_rng(0)
        self.clips = [rng.integers(0, 256, (t, 32, 32, 3), dtype=np.uint8) for t in (12, 1, 5, 12, 7, 3)]
        videos = [CaptionedVideo(str(i), (caption,)) for i, caption in enumerate(CAPTIONS)]
        self.data: VideoText = run.video_text(
            videos, self.tower.features(self.clips), TextFeaturizer(parser, self.sentences)
        )
        small = replace(
            CLIP,
            model=replace(CLIP.model, embed_dim=16, heads=2, attention_dim=8, feature_dim=self.tower.feature_dim),
            train=replace(CLIP.train, batch_size=3, epochs=epochs, learning_rate=0.003),
            unfreeze_text=True,
            text_rate=0.5,
        )
        self.preset: Preset = run._on_top_of(small, self.tower, "features.h5")

    def matcher(self) -> UnfrozenMatcher:
        torch.manual_seed(0)
        words = vocabularies_of(self.data, self.preset.train)
        return UnfrozenMatcher(mcsan_matcher(self.preset, self.data, words), self.sentences, self.preset.text_rate)

    def fit(self, folder: Path, sentences: TwoTowerSentences | None) -> tuple[MCSAN, Vocabularies, History]:
        return fit(self.preset, self.data, self.data, folder, 3, False, resume=True, sentences=sentences)

    def state(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.tower.net.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@WRITERS
def test_captions_are_read_in_training_as_queries_are(tmp_path: Path, parser: SpacyParser, write: Write) -> None:
    world = World(write(tmp_path / "tower"), parser)
    matcher = world.matcher().eval()
    with torch.inference_mode():
        expected = unit(matcher.model.text(collate(world.data.texts)))
        for rows in (range(6), [3, 2], [2]):  # the same whatever else is in the batch
            found = unit(matcher.encode_text(matcher.collate_text([world.data.texts[i] for i in rows])))
            torch.testing.assert_close(found["global"], expected["global"][rows], atol=1e-5, rtol=0)
            for level in ("entity", "action", "relation"):  # words are kept as float16 between the two steps
                torch.testing.assert_close(found[level], expected[level][rows], atol=5e-3, rtol=0)


@WRITERS
def test_means_are_those_of_captions_as_the_tower_reads_them_now(
    tmp_path: Path, parser: SpacyParser, write: Write
) -> None:
    world = World(write(tmp_path / "tower"), parser)
    world.preset = replace(world.preset, model=replace(world.preset.model, centred=True))
    matcher = world.matcher().eval()
    with torch.inference_mode(False), torch.no_grad():
        for parameter in matcher.text_tower.parameters():
            parameter.mul_(1.3)
    stale = unit(matcher.model.text(collate(world.data.texts)))["global"].mean(0)
    now = unit(matcher.encode_text(matcher.collate_text(world.data.texts)))["global"].mean(0)
    assert matcher.finish(world.data) and matcher.model.text.centre is not None
    found = matcher.model.text.centre.get_buffer("mean_global") / SHARE
    torch.testing.assert_close(found, now.detach(), atol=1e-4, rtol=0)
    assert (found - stale).abs().max() > 1e-3


@WRITERS
def test_gradients_reach_all_of_the_text_tower_and_nothing_else(
    tmp_path: Path, parser: SpacyParser, write: Write
) -> None:
    world = World(write(tmp_path / "tower"), parser)
    matcher = world.matcher()
    pairs = Pairs(world.data, vocabularies_of(world.data, world.preset.train), matcher.collate_text)
    own = {
        f"{part}.{name}" for part in ("model", "text_tower") for name, _ in getattr(matcher, part).named_parameters()
    }
    assert {name for name, _ in matcher.named_parameters()} == {*own, "log_temperature"}
    expected = torch.stack(list(matcher.eval().losses(pairs.collate(range(6))).values())).sum()
    expected.backward()
    for name, parameter in matcher.text_tower.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if not name.endswith("k_proj.bias"):  # a softmax does not see it
            assert parameter.grad.any(), name
    reached = {name for name, p in world.tower.net.named_parameters() if p.grad is not None}
    assert reached == {name for name, _ in matcher.text_tower.named_parameters()}
    with torch.autocast("cpu", torch.bfloat16):
        losses = matcher.losses(pairs.collate(range(6)))
    assert all(value.dtype == torch.float32 for value in losses.values())
    total = torch.stack(list(losses.values())).sum()
    torch.testing.assert_close(total, expected, rtol=0.05, atol=0.0)
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in matcher.text_tower.parameters())


@WRITERS
def test_every_level_reaches_the_text_tower_by_itself(tmp_path: Path, parser: SpacyParser, write: Write) -> None:
    world = World(write(tmp_path / "tower"), parser)
    matcher = world.matcher().eval()
    for level, vectors in matcher.encode_text(matcher.collate_text(world.data.texts)).items():
        (gradient,) = torch.autograd.grad(
            vectors.square().sum(), [world.tower.net.text_model.embeddings.token_embedding.weight], retain_graph=True
        )
        assert gradient.any(), level


@WRITERS
def test_training_improves_on_where_it_starts(tmp_path: Path, parser: SpacyParser, write: Write) -> None:
    world = World(write(tmp_path / "tower"), parser, epochs=12)  # after 4, two of five seeds gain nothing globally
    before = world.state()
    start, _ = world.matcher().measure(world.data)
    *_, history = world.fit(tmp_path / "run", world.sentences)
    assert max(epoch["fused"].sum_r for epoch in history) > start["fused"].sum_r
    assert max(epoch["global"].sum_r for epoch in history) > start["global"].sum_r
    after = world.state()
    assert {name.split(".")[0] for name in changed(before, after)} <= {"text_model", "text_projection"}
    # Words that no caption has keep their vectors, to the last bit.
    embedding = "text_model.embeddings.token_embedding.weight"
    used = torch.cat([world.tower.tokens([caption])["input_ids"].flatten() for caption in CAPTIONS]).unique()
    rows = (before[embedding] != after[embedding]).any(1)
    assert rows[used].all() and rows.sum() == len(used) < len(rows)


def test_the_text_tower_is_frozen_unless_asked_for(tmp_path: Path, parser: SpacyParser) -> None:
    world = World(write_clip(tmp_path / "tower"), parser)
    before = world.state()
    world.fit(tmp_path / "run", None)
    assert not changed(before, world.state())


def test_the_text_tower_has_a_learning_rate_of_its_own(tmp_path: Path, parser: SpacyParser) -> None:
    world = World(write_clip(tmp_path / "tower"), parser)
    matcher = world.matcher()
    *rest, slow = matcher.parameter_groups(CLIP.train)
    assert {id(p) for p in slow["params"]} == {id(p) for p in world.tower.text_tower.parameters()}
    counted = sum(len(group["params"]) for group in (*rest, slow))
    assert counted == sum(p.requires_grad for p in matcher.parameters())
    assert slow["lr"] == 0.5 * CLIP.train.learning_rate and slow["weight_decay"] == 0
    world.preset = replace(world.preset, text_rate=0.0)
    before = world.state()
    world.fit(tmp_path / "run", world.sentences)
    assert not changed(before, world.state())  # the schedule keeps the rates apart


@WRITERS
def test_a_checkpoint_keeps_the_text_tower(tmp_path: Path, parser: SpacyParser, write: Write) -> None:
    world = World(write(tmp_path / "tower"), parser)
    pictures = world.tower.features(world.clips)
    model, words, _ = world.fit(tmp_path / "run", world.sentences)
    made = Checkpoint("t", "A test.", model, world.tower, words, parser.name, world.sentences.name, unfrozen=True)
    fingerprint = save_checkpoint(tmp_path / "made", made)
    loaded = load_checkpoint(tmp_path / "made")
    assert loaded.unfrozen and loaded.fingerprint == fingerprint and isinstance(loaded.backbone, TwoTower)
    assert not changed(world.state(), loaded.backbone.net.state_dict())
    encoder = McsanEncoder(tmp_path / "made", parser=parser)
    # A loaded tower may run by another library than the one that was trained.
    for kept, trained in zip(
        encoder.featurizer(CAPTIONS), TextFeaturizer(parser, world.sentences)(CAPTIONS), strict=True
    ):
        np.testing.assert_allclose(kept.encoded.sentence, trained.encoded.sentence, atol=1e-5)
        np.testing.assert_allclose(kept.encoded.words, trained.encoded.words, rtol=2e-3, atol=1e-4)  # halves
    for kept, trained in zip(loaded.backbone.features(world.clips), pictures, strict=True):
        assert torch.equal(kept, trained)
    # The queries of the matcher that was trained, but for the half precision of what is above the tower.
    with torch.inference_mode():
        matcher = world.matcher().eval()
        matcher.model.load_state_dict(model.state_dict())
        expected = unit(matcher.encode_text(matcher.collate_text(world.data.texts)))
    found = encoder.encode_texts(CAPTIONS).vectors
    for level, vectors in expected.items():
        np.testing.assert_allclose(found[level], vectors, atol=5e-3)
    # Another text tower is another model; saved again, it is the same.
    assert save_checkpoint(tmp_path / "again", loaded) == fingerprint
    next(iter(loaded.backbone.text_tower.parameters())).data += 1e-6
    assert save_checkpoint(tmp_path / "again", loaded) != fingerprint


def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, parser: SpacyParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_clip(tmp_path / "tower")
    untouched = World(folder, parser)
    model, _, history = untouched.fit(tmp_path / "untouched", untouched.sentences)
    real = MatcherModule.training_step

    def deadly(self: MatcherModule, batch: object, batch_idx: int) -> torch.Tensor:
        if self.global_step == 5:  # in the third epoch of two steps
            raise InterruptedError
        return real(self, batch, batch_idx)

    stopped = World(folder, parser)
    with monkeypatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr(MatcherModule, "training_step", deadly)
        stopped.fit(tmp_path / "stopped", stopped.sentences)
    resumed = World(folder, parser)
    again, _, told = resumed.fit(tmp_path / "stopped", resumed.sentences)
    assert told == history
    assert not changed(untouched.state(), resumed.state())
    assert not changed(model.state_dict(), again.state_dict())


def test_there_must_be_a_text_tower_to_unfreeze() -> None:
    with pytest.raises(InputError, match=r"--unfreeze-text needs .* two-tower model"):
        replace(PLUS, unfreeze_text=True)
