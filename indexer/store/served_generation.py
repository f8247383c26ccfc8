"""A generation that answers questions, in the library's own files or in another engine."""

from __future__ import annotations

from typing import Protocol

from indexer.search.remote_gallery import AnyGallery
from indexer.store.manifest import ModelInfo


class ServedGeneration(Protocol):
    """A generation that answers questions. `indexer.store.generation.Generation` is one."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> ModelInfo:
        """The model that built it."""
        ...

    @property
    def clips(self) -> AnyGallery: ...

    @property
    def captions(self) -> AnyGallery: ...

    def gallery(self, kind: str) -> AnyGallery:
        """The one of `indexer.store.generation.KINDS`."""
        ...


class RemoteGenerations(Protocol):
    """Where generations are that another engine serves: one of them is live."""

    def current(self) -> ServedGeneration:
        """The live generation, the same object until another is live. Raises LibraryError."""
        ...

    def close(self) -> None: ...
