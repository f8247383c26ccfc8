"""What `quartet evaluate` measures: the scores of captions with the clips of a library, or with frame features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from quartet.errors import InputError, VideoError
from service.cli.options import console, library_of

if TYPE_CHECKING:
    from model.evaluation.assessment import Subject
    from model.evaluation.scores import LevelScores
    from model.language.parsed_caption import ParsedCaption
    from model.levels import Vectors
    from model.training.data.dataset import CaptionedVideo
    from service.settings import Settings


@dataclass(frozen=True)
class Measured:
    """Scores of all captions against all videos, what they are of, and pictures of the videos by number.

    `encode` makes query vectors of other texts.
    """

    subject: Subject
    scores: LevelScores
    about: dict[str, str]
    picture: Callable[[int], bytes | None]
    encode: Callable[[Sequence[str]], Vectors]


def _subject(captioned: Sequence[CaptionedVideo]) -> Subject:
    import numpy as np

    from model.evaluation.assessment import Subject

    owner = np.repeat(np.arange(len(captioned)), [len(video.captions) for video in captioned])
    captions = [caption for video in captioned for caption in video.captions]
    return Subject([video.video for video in captioned], captions, owner)


def parsed_captions(subject: Subject) -> list[ParsedCaption]:
    """The captions as the bundled parser reads them; one that repeats is parsed once."""
    from model.language.spacy_parser import SpacyParser

    distinct = list(dict.fromkeys(subject.captions))
    parsed = dict(zip(distinct, SpacyParser().parse(distinct), strict=True))
    return [parsed[caption] for caption in subject.captions]


def _in_library(settings: Settings, captioned: list[CaptionedVideo], skip_missing: bool) -> list[CaptionedVideo]:
    """The captioned videos that the library has; the others are named, or refused."""
    from indexer.store.library import Library
    from indexer.texts.captions import video_names
    from model.training.data.dataset_checks import list_names

    folder = library_of(settings)
    with Library.open(folder) as library:
        names = video_names(library.catalog.list_videos(limit=None))
    missing = [video.video for video in captioned if video.video not in names]
    found = [video for video in captioned if video.video in names]
    if missing and not (skip_missing and found):
        remedy = "Index the videos, or leave them out with --skip-missing." if found else "Index the videos first."
        raise InputError(f"{list_names(f'videos are not in the library {folder}', missing)}. {remedy}")
    if missing:
        typer.echo(f"Left out: {list_names(f'videos are not in the library {folder}', missing)}.", err=True)
    return found


def _with_features(
    captioned: list[CaptionedVideo], features: Sequence[Path], skip_missing: bool
) -> list[CaptionedVideo]:
    """The captioned videos that have features; the others are named, or refused."""
    from model.training.data.feature_set import FeatureSet

    with FeatureSet(features) as file:
        found = file.with_features(captioned, skip_missing, lambda note: typer.echo(note, err=True))
        if not found:
            raise InputError(f"{file.name} has no features of the captioned videos.")
    return found


def on_library(settings: Settings, captioned: list[CaptionedVideo], skip_missing: bool) -> Measured:
    """Captions against the clips of the library that `settings` name. Raises InputError for what does not go."""
    captioned = _in_library(settings, captioned, skip_missing)
    folder = library_of(settings)

    import numpy as np

    from indexer.store.layout import thumbnail_path
    from indexer.store.library import Library
    from indexer.texts.captions import video_names
    from model.evaluation.scores import LevelScores
    from model.training.data.dataset_checks import list_names
    from service.encoders.model_choice import query_encoder

    with console().status("Loading the model"):
        encoder = query_encoder(settings)
    with Library.open(folder) as library:
        library.check_encoder(encoder.spec)
        by_name = video_names(library.catalog.list_videos(limit=None))
        ids = [by_name[video.video] for video in captioned]
        if len(set(ids)) < len(ids):
            first = {video: i for i, video in reversed(list(enumerate(ids)))}
            twice = [captioned[i].video for i, video in enumerate(ids) if first[video] < i]
            raise InputError(f"{list_names('captioned videos are duplicates of earlier videos', twice)}.")
        clips: dict[int, list[int]] = {video: [] for video in ids}
        for clip in library.catalog.list_clips(limit=None):
            if clip.video_id in clips:
                clips[clip.video_id].append(clip.id)
        gallery = library.current().clips.vectors([clip for video in ids for clip in clips[video]])

    def encode(texts: Sequence[str]) -> Vectors:
        return encoder.text_queries(encoder.encode_texts(list(texts)).vectors)

    with console().status("Encoding captions"):
        queries = encode([c for v in captioned for c in v.captions])
    counts = np.array([len(clips[video]) for video in ids])
    about = {"model": encoder.spec.name, "fingerprint": encoder.spec.fingerprint, "library": folder.name}

    def picture(video: int) -> bytes | None:
        own = clips[ids[video]]
        path = thumbnail_path(folder, own[len(own) // 2])
        return path.read_bytes() if path.is_file() else None

    scores = LevelScores(encoder.spec.levels, queries, gallery, counts, ablations=True)
    return Measured(_subject(captioned), scores, about, picture, encode)


def on_features(
    settings: Settings,
    captioned: list[CaptionedVideo],
    features: Sequence[Path],
    skip_missing: bool,
    videos: Path | None,
    cache: Path,
) -> Measured:
    """Captions against frame features in files; pictures are of the files in `videos`. Raises InputError."""
    from dataclasses import replace

    from model.registry import checkpoint_folder, resolve_device
    from model.training.loop.feature_scores import scores_on_features
    from service.encoders.model_choice import chosen_model

    captioned = _with_features(captioned, features, skip_missing)
    files = {} if videos is None else _files_by_name(videos)
    with console().status("Encoding captions and features"):
        folder = checkpoint_folder(chosen_model(settings), settings.models)
        scores, checkpoint, encode = scores_on_features(
            folder, captioned, features, resolve_device(settings.device), settings.models, cache
        )
    about = {
        "model": checkpoint.name,
        "fingerprint": checkpoint.fingerprint,
        "features": ", ".join(path.name for path in features),
    }

    def picture(video: int) -> bytes | None:
        name = captioned[video].video
        if videos is None:
            return None
        if name not in files:
            typer.echo(f"No picture of {name}: {videos} has no such file.", err=True)
            return None
        return _picture_of(files[name])

    return Measured(_subject(captioned), replace(scores, ablations=True), about, picture, encode)


def _files_by_name(folder: Path) -> dict[str, Path]:
    """Files below a folder by their path there, with and without the suffix, as `quartet features` names them."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        files[str(inside)] = path
        files.setdefault(str(inside.with_suffix("")), path)
    return files


def _picture_of(path: Path) -> bytes | None:
    """The middle frame of a video as WebP; a file that cannot be read is named and has none."""
    from indexer.media.clip_reader import sample_frames
    from indexer.media.thumbnails import thumbnail

    try:
        return thumbnail(sample_frames(path, 1).frames)
    except VideoError as error:
        typer.echo(f"No picture of {error}", err=True)
        return None
