"""What other people's code imports: clients of a running service, the JSON that it answers with, and its errors.

Light on purpose: httpx and pydantic, never torch, FAISS or FastAPI.
"""

from quartet.client import AsyncClient, Client
from quartet.errors import (
    BusyError,
    FingerprintError,
    InputError,
    LibraryError,
    ModelError,
    NotFoundError,
    QuartetError,
    VideoError,
)
from quartet.schemas.jobs import Job, JobList
from quartet.schemas.library import Clip, LibraryInfo, ListedCaption, ListedClip, Ready, Tag, Video
from quartet.schemas.question import Part, Then
from quartet.schemas.search import (
    CaptionAnswer,
    CaptionHit,
    ClipAnswer,
    ClipHit,
    Filter,
    LevelScore,
    SimilarAnswer,
    Upload,
)

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "BusyError",
    "CaptionAnswer",
    "CaptionHit",
    "Client",
    "Clip",
    "ClipAnswer",
    "ClipHit",
    "Filter",
    "FingerprintError",
    "InputError",
    "Job",
    "JobList",
    "LevelScore",
    "LibraryError",
    "LibraryInfo",
    "ListedCaption",
    "ListedClip",
    "ModelError",
    "NotFoundError",
    "Part",
    "QuartetError",
    "Ready",
    "SimilarAnswer",
    "Tag",
    "Then",
    "Upload",
    "Video",
    "VideoError",
    "__version__",
]
