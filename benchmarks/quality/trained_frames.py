"""Whether a second look at single frames would pay for a trained model, whose levels are trained as one vector a clip.

    quartet demo-dataset runs/world --train 600 --val 100 --test 400 --captions 10
    python -m benchmarks.quality.trained_frames runs/world --captions 3

Recall of the bundled model on the test split, text to video, with a level's vector as it is, and with the mean cosine
of its two best parts in its place. Parts are single frames, or windows of three neighbouring frames, each given to the
model as a clip. "Mixed" is the mean of both. Weights and activations are those of the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.levels import FloatArray
from model.mcsan.encoder import McsanEncoder
from model.mcsan.layers import pad_features, unit
from model.registry import load_encoder
from model.training.data.caption_readers import read_captions
from model.training.data.feature_file import FeatureFile

_TRIED = (("entity",), ("action",), ("relation",), ("entity", "action"), ("entity", "action", "relation"))


def parts(clip: Tensor, size: int) -> list[Tensor]:
    """Windows (size, D_v) of a clip's frames; a shorter clip is one."""
    return list(clip.unfold(0, min(size, len(clip)), 1).transpose(1, 2))


@torch.inference_mode()
def vectors(encoder: McsanEncoder, clips: list[Tensor]) -> dict[str, FloatArray]:
    return encoder.numpy(unit(encoder.video_vectors(*pad_features(clips))))


def best_parts(
    encoder: McsanEncoder, clips: list[Tensor], size: int, query: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """By level the mean cosine (queries, clips) of the two best parts of each clip."""
    found: dict[str, list[FloatArray]] = {spec.name: [] for spec in encoder.spec.levels}
    for clip in clips:
        for level, rows in vectors(encoder, parts(clip, size)).items():
            found[level].append(np.sort(query[level] @ rows.T, axis=1)[:, -2:].mean(axis=1))
    return {level: np.stack(own, axis=1) for level, own in found.items()}


def recalls(encoder: McsanEncoder, raw: dict[str, FloatArray], query: dict[str, FloatArray], owner: np.ndarray) -> str:
    """R@1, R@5 and R@10, and their sum."""
    total, weights = np.zeros((len(owner), 1)), np.zeros((len(owner), 1))
    for spec in encoder.spec.levels:
        weight = spec.weight * query[spec.name].any(axis=1, keepdims=True)
        total = total + weight * spec.activate(raw[spec.name].astype(np.float64))
        weights = weights + weight
    scores = total / weights
    right = scores[np.arange(len(owner)), owner]
    ranks = (scores > right[:, None]).sum(axis=1)
    at = [100 * float((ranks < k).mean()) for k in (1, 5, 10)]
    return " | ".join(f"{value:.1f}" for value in (*at, sum(at)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("world", type=Path, help="a folder of `quartet demo-dataset`")
    parser.add_argument("--captions", type=int, default=3, help="of each clip")
    given = parser.parse_args()
    encoder = load_encoder("demo")
    assert isinstance(encoder, McsanEncoder)
    videos = read_captions([given.world / "captions.jsonl"]).split("test")
    with FeatureFile(given.world / "features.h5") as file:
        clips = file.read([video.video for video in videos], encoder.spec.frames_per_clip)
    texts = [text for video in videos for text in video.captions[: given.captions]]
    owner = np.repeat(np.arange(len(videos)), [len(video.captions[: given.captions]) for video in videos])
    query = encoder.text_queries(encoder.encode_texts(texts).vectors)
    whole = {level: query[level] @ rows.T for level, rows in vectors(encoder, clips).items()}
    print(f"{len(videos)} clips, {len(texts)} captions\n\n| in place of | parts | R@1 | R@5 | R@10 | sum |")
    print("|---|---|---|---|---|---|")
    print(f"| nothing | | {recalls(encoder, whole, query, owner)} |")
    for size, what in ((1, "frames"), (3, "windows")):
        best = best_parts(encoder, clips, size, query)
        for levels in _TRIED:
            replaced = {**whole, **{level: best[level] for level in levels}}
            mixed = {**whole, **{level: (best[level] + whole[level]) / 2 for level in levels}}
            for name, raw in ((what, replaced), (f"{what}, mixed", mixed)):
                print(f"| {', '.join(levels)} | {name} | {recalls(encoder, raw, query, owner)} |", flush=True)


if __name__ == "__main__":
    main()
