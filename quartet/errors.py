"""The exception tree of the project.

    QuartetError
    +-- InputError        what the caller gave is wrong: it names the input and says what to do
    |   +-- VideoError    a video file cannot be used; `reason` is a stable short word for catalogues
    +-- NotFoundError     a clip, caption or video that does not exist in this library
    +-- ModelError        a checkpoint, its weights or its vocabulary is missing, damaged or not ours
    |   +-- FingerprintError   a library and a model that do not belong together
    +-- LibraryError      an on-disk library is missing, damaged or of another format
    |   +-- LibraryInUseError  another process is writing to it: try again when it has finished
    +-- BusyError         the work queue is full: try again after `retry_after` seconds

Messages are complete sentences for people. The CLI prints them and exits with 1; the service turns
them into RFC 9457 problem documents.
"""

from __future__ import annotations

from pathlib import Path


class QuartetError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(QuartetError):
    """The caller's input cannot be used."""


class VideoError(InputError):
    """A file cannot be used as a video.

    `reason` is one of the stable words `empty-file`, `not-a-video`, `no-video-stream`, `truncated`,
    `unsupported-codec`, `unreadable`, `over-limit`, `model-fault`; `detail` is a sentence for people.
    """

    def __init__(self, path: Path | str, reason: str, detail: str) -> None:
        self.path = Path(path)
        self.reason = reason
        self.detail = detail
        super().__init__(f"{self.path.name}: {detail}")

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str, str]]:
        # By default an exception is made again from its message: this one travels between processes whole.
        return type(self), (self.path, self.reason, self.detail)


class NotFoundError(QuartetError):
    """A named thing is not in this library."""


class ModelError(QuartetError):
    """A model cannot be loaded or does not fit its data."""


class FingerprintError(ModelError):
    """A library was built by another model than the one that would query it."""

    def __init__(self, library: str, encoder: str) -> None:
        self.library = library
        self.encoder = encoder
        super().__init__(
            f"The library was built by the model with fingerprint {library}, but the loaded model has "
            f"fingerprint {encoder}. Load the model that built it, or index the videos again with this one."
        )


class LibraryError(QuartetError):
    """An on-disk library cannot be opened or written."""


class LibraryInUseError(LibraryError):
    """Another process is writing to the library, and it has one writer at a time."""


class BusyError(QuartetError):
    """The service has more queued work than it accepts."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"The service is busy. Try again in {retry_after:g} s.")
