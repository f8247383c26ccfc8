"""What `quartet train --unfreeze-text` costs: `python -m benchmarks.networks.unfrozen` (docs/zero-shot.md).

Steps of the preset clip on a model of the size of CLIP ViT-B/32 with random weights, on which speed does not depend,
with made-up features and captions of realistic length: with the text tower frozen, then unfrozen.
"""

from __future__ import annotations

import argparse
import os
import string
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.networks.made_models import TWO_TOWERS
from benchmarks.networks.training import PARTS, made_data, measure
from model.mcsan.presets import CLIP
from model.mcsan.text_features import TextFeatures
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.mcsan_matcher import mcsan_matcher
from model.training.loop.single_run import vocabularies_of
from model.training.loop.unfrozen_matcher import UnfrozenMatcher
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--captions", type=int, default=10, help="per video")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(bf16=False)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        TWO_TOWERS["CLIP ViT-B/32"](Path(folder))
        sentences = TwoTowerSentences(TwoTower(Path(folder)))
    dim = sentences.dim
    preset = replace(
        CLIP,
        model=replace(CLIP.model, feature_dim=dim, sentence_dim=dim, word_dim=dim),
        train=replace(CLIP.train, schedule="constant"),
    )
    data = _readable(made_data(preset, options.videos, options.captions, options.seed), options.seed)
    words = vocabularies_of(data, preset.train)
    frozen = mcsan_matcher(preset, data, words)
    weights = sum(p.numel() for p in sentences.tower.text_tower.parameters())
    print(
        f"CLIP ViT-B/32, text tower of {weights / 1e6:.0f} million weights; "
        f"batches of {preset.train.batch_size}, {options.threads} threads, seed {options.seed}\n\n"
        "| text tower | ms per step | processor ms per step |\n|---|---|---|"
    )
    for name, matcher in (
        ("frozen", frozen),
        ("unfrozen", UnfrozenMatcher(frozen, sentences, preset.text_rate)),
    ):
        module, pairs = MatcherModule(matcher, preset.train, data).train(), Pairs(data, words, matcher.collate_text)
        clock = measure(module, pairs, preset, options)
        wall, cpu = (1000 * sum(seconds[part] for part in PARTS) / options.steps for seconds in (clock.wall, clock.cpu))
        print(f"| {name} | {wall:,.0f} | {cpu:,.0f} |")


def _readable(data: VideoText, seed: int) -> VideoText:
    """With a letter for every word, of which the tokenizer of `TWO_TOWERS` makes one token."""
    rng = np.random.default_rng(seed)
    texts = []
    for text in data.texts:
        words = tuple(rng.choice(list(string.ascii_lowercase), len(text.parse.words)).tolist())
        spans = tuple((2 * i, 2 * i + 1) for i in range(len(words)))
        texts.append(TextFeatures(replace(text.parse, text=" ".join(words), words=words, spans=spans), text.encoded))
    return replace(data, texts=texts)


if __name__ == "__main__":
    main()
