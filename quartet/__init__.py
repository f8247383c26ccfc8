"""What other people's code imports: clients of a running service, the JSON that it answers with, and its errors.

Light on purpose: httpx2 and pydantic, never torch, FAISS or FastAPI. Each name is loaded when it is first used, so
`import quartet.errors` needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quartet.client import AsyncClient, Client
    from quartet.errors import (
        BusyError,
        ConflictError,
        FingerprintError,
        ForbiddenError,
        InputError,
        InternalError,
        InvalidRequestError,
        LibraryError,
        ModelError,
        NoRoomError,
        NotFoundError,
        NotReadyError,
        OverdueError,
        QuartetError,
        TooLargeError,
        UnauthorizedError,
        VideoError,
    )
    from quartet.schemas.jobs import Job, JobList
    from quartet.schemas.library import Clip, LibraryInfo, ListedCaption, ListedClip, Ready, Tag, Video
    from quartet.schemas.question import Part, Then
    from quartet.schemas.search import ClipSearch, Filter
    from quartet.schemas.search_answers import (
        CaptionAnswer,
        CaptionHit,
        ClipAnswer,
        ClipHit,
        LevelScore,
        SimilarAnswer,
        Upload,
    )

__version__ = "0.1.0"

_HOMES = {
    "quartet.client": ("AsyncClient", "Client"),
    "quartet.errors": (
        "BusyError", "ConflictError", "FingerprintError", "ForbiddenError", "InputError", "InternalError",
        "InvalidRequestError", "LibraryError", "ModelError", "NoRoomError", "NotFoundError", "NotReadyError",
        "OverdueError", "QuartetError", "TooLargeError", "UnauthorizedError", "VideoError",
    ),
    "quartet.schemas.jobs": ("Job", "JobList"),
    "quartet.schemas.library": ("Clip", "LibraryInfo", "ListedCaption", "ListedClip", "Ready", "Tag", "Video"),
    "quartet.schemas.question": ("Part", "Then"),
    "quartet.schemas.search": ("ClipSearch", "Filter"),
    "quartet.schemas.search_answers": (
        "CaptionAnswer", "CaptionHit", "ClipAnswer", "ClipHit", "LevelScore", "SimilarAnswer", "Upload",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncClient",
    "BusyError",
    "CaptionAnswer",
    "CaptionHit",
    "Client",
    "Clip",
    "ClipAnswer",
    "ClipHit",
    "ClipSearch",
    "ConflictError",
    "Filter",
    "FingerprintError",
    "ForbiddenError",
    "InputError",
    "InternalError",
    "InvalidRequestError",
    "Job",
    "JobList",
    "LevelScore",
    "LibraryError",
    "LibraryInfo",
    "ListedCaption",
    "ListedClip",
    "ModelError",
    "NoRoomError",
    "NotFoundError",
    "NotReadyError",
    "OverdueError",
    "Part",
    "QuartetError",
    "Ready",
    "SimilarAnswer",
    "Tag",
    "Then",
    "TooLargeError",
    "UnauthorizedError",
    "Upload",
    "Video",
    "VideoError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
