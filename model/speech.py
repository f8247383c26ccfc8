"""What is said in a sound: by a Whisper model, as faster-whisper reads it (extra `speech`).

`quartet prepare faster-whisper-small` fetches one. Its weights are CTranslate2's: numbers, which cannot run code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model.levels import FloatArray
from quartet.errors import InputError, ModelError

RATE = 16_000
"""Samples of a second of sound."""

_SILENCE = 0.6
"""Probability that nothing is said above which what was understood is left out, as in Whisper's own code."""


@dataclass(frozen=True)
class Said:
    """What is said from `start` to `end` seconds of a sound, and its language as an ISO 639 code."""

    start: float
    end: float
    text: str
    language: str | None


class SpeechReader(Protocol):
    """Anything that reads speech."""

    def read(self, sound: FloatArray) -> Iterator[Said]:
        """What is said in a sound, (n,) from -1 to 1 at RATE, in order."""
        ...


def holds_whisper(folder: Path) -> bool:
    """Whether the small files of a folder are those of a Whisper model of faster-whisper."""
    return (folder / "config.json").is_file() and any(
        (folder / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")
    )


class Whisper:
    """A model in a folder, on the CPU in 8 bits, or on a GPU in half precision.

    Raises InputError if faster-whisper is not installed, ModelError for a folder without such a model.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        model_class = require_faster_whisper()
        if not holds_whisper(folder):
            raise ModelError(f"{folder} contains no Whisper model of faster-whisper (config.json, vocabulary.json).")
        kind, _, number = device.partition(":")
        options = {"device": kind, "device_index": int(number or 0)}
        try:
            self._model: Any = model_class(
                str(folder), local_files_only=True, compute_type="int8" if kind == "cpu" else "float16", **options
            )
        except Exception as error:  # CTranslate2 and its tokenizer raise nearly anything for a damaged folder
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"The Whisper model in {folder} cannot be loaded: {reason}") from error

    def read(self, sound: FloatArray) -> Iterator[Said]:
        if not len(sound):
            return
        segments, about = self._model.transcribe(sound, vad_filter=True)
        for segment in segments:
            text = " ".join(segment.text.split())
            if text and segment.no_speech_prob <= _SILENCE:
                yield Said(segment.start, segment.end, text, about.language)


def require_faster_whisper() -> Any:
    """The class of its models. Raises InputError if the package is not installed."""
    try:
        from faster_whisper import WhisperModel
    except ModuleNotFoundError as error:
        raise InputError("Reading speech needs faster-whisper: pip install '.[speech]'.") from error
    return WhisperModel
