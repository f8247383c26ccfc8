"""The exception tree of the project.

    QuartetError
    +-- InputError        what the caller gave is wrong: it names the input and says what to do
    |   +-- VideoError    a video file cannot be used; `reason` is a stable short word for catalogues
    |   +-- InvalidRequestError, MalformedRequestError, UnsupportedTypeError, UnsupportedVersionError,
    |       TooLargeError, HeadTooLargeError, RangeError    a service refuses a request as it is
    +-- NotFoundError     a clip, caption or video that does not exist in this library
    +-- UnauthorizedError a service asks for an API key
    +-- UnreachableError  a service cannot be reached
    +-- ForbiddenError    the key, the name of the service or the origin does not allow the request
    +-- ConflictError     not possible in the state that a service or its library is in
    +-- NoRoomError       a service has no room for an upload
    +-- NotReadyError     a service has no model or no library to answer with
    +-- TooSlowError      a request took too long to arrive at a service
    +-- OverdueError      a service gave up a search that took too long
    +-- InternalError     a service failed; its log has the cause under `request_id`
    +-- ModelError        a checkpoint, its weights or its vocabulary is missing, damaged or not ours
    |   +-- FingerprintError   a library and a model that do not belong together
    +-- LibraryError      an on-disk library is missing, damaged or of another format
    |   +-- LibraryInUseError  another process is writing to it: try again when it has finished
    +-- BusyError         the work queue is full: try again after `retry_after` seconds
        +-- TooManyConnectionsError   the client has too many connections to the service

Messages are complete sentences for people. The CLI prints them and exits with 1; the service turns
them into RFC 9457 problem documents, and `quartet.client` turns those into the exceptions that they came from. Each
type of problem that a service has is one exception (`quartet.answers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class QuartetError(Exception):
    """Base of every error that this project raises on purpose.

    `request_id` is that of the request to a service which it answered with this error; its log has it too.
    """

    request_id: str | None = None


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


class InvalidRequestError(InputError):
    """Fields of a request are wrong; `fields` has, by name (`body.query`), what each must be."""

    def __init__(self, detail: str, fields: Mapping[str, str] | None = None) -> None:
        self.fields = dict(fields or {})
        super().__init__(detail)


class MalformedRequestError(InputError):
    """A request is not valid HTTP."""


class UnsupportedTypeError(InputError):
    """A body has a type that the route does not take."""


class UnsupportedVersionError(InputError):
    """A request speaks a version of the upload protocol that a service does not."""


class TooLargeError(InputError):
    """A body is larger than a service takes."""


class HeadTooLargeError(InputError):
    """The header fields of a request are larger than a service takes."""


class RangeError(InputError):
    """A range of bytes is outside its file."""


class NotFoundError(QuartetError):
    """A named thing is not in this library."""


class UnauthorizedError(QuartetError):
    """A service asks for an API key, or does not know the one that it got."""


class UnreachableError(QuartetError):
    """A service does not answer, or the connection to it broke."""


class ForbiddenError(QuartetError):
    """The role of the key, the name of the service or the origin of the request does not allow it."""


class ConflictError(QuartetError):
    """A request is not possible in the state that a service or its library is in."""


class NoRoomError(QuartetError):
    """A service has no room for an upload."""


class NotReadyError(QuartetError):
    """A service has no model or no library to answer with."""


class TooSlowError(QuartetError):
    """A request took too long to arrive."""


class OverdueError(QuartetError):
    """A search took longer than a service lets it."""


class InternalError(QuartetError):
    """A service failed."""


class ModelError(QuartetError):
    """A model cannot be loaded or does not fit its data."""


class FingerprintError(ModelError):
    """A library was built by another model than the one that would query it."""

    def __init__(self, library: str, encoder: str) -> None:
        self.library = library
        self.encoder = encoder
        super().__init__(
            f"The library was built by the model with fingerprint {library}, but the loaded model has "
            f"fingerprint {encoder}. Load the model that built it, or change the library to this one: "
            "quartet index VIDEOS --library LIBRARY --model MODEL"
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


class TooManyConnectionsError(BusyError):
    """A client has too many connections to a service."""
