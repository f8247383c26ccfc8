"""What other people's code imports: the client of a running service, the JSON that it answers with, and its errors.

Light on purpose: httpx and pydantic, never torch, FAISS or FastAPI.
"""

from quartet.client import Client
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
from quartet.schemas.question import Part, Then

__all__ = [
    "BusyError",
    "Client",
    "FingerprintError",
    "InputError",
    "LibraryError",
    "ModelError",
    "NotFoundError",
    "Part",
    "QuartetError",
    "Then",
    "VideoError",
]
