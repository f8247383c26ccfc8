"""A library's vectors in another engine instead of in the files of its generations (docs/scale.md).

The folder keeps everything else. A generation at such a home has a manifest that names the place, and the ids of its
items (`CLIPS/ids.npy`). An id is never given twice, so the vector of an item at a level never changes there: items come
and go by id, and one set of vectors serves every generation of a model. Each reader keeps to the ids of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from indexer.search.remote_gallery import RemoteGallery
from indexer.search.vectors.row_source import Ids, RowSource
from model.levels import FrameSpec, LevelSpec
from quartet.errors import InputError

FOLDER = "folder"
"""How people name the library's own files, where a home can be named."""

_ENGINES = {"milvus": "indexer.milvus.home", "milvus+tls": "indexer.milvus.home"}
"""By the scheme of an address, a module with a class `Home`. By name: the rooms of the engines are above this one."""

ClipColumns = Callable[[Ids], Mapping[str, npt.NDArray[Any]]]
"""Gives the columns `video`, `start` and `end` of clips."""


@dataclass(frozen=True)
class HomeRecord:
    """Where the vectors of a generation are, as its manifest says.

    address  of the engine
    tag      tells the library's sets of vectors there apart
    facts    per gallery, what the engine has to know when it opens it
    """

    address: str
    tag: str
    facts: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class HomeChange:
    """What a gallery is to hold: `ids`, ascending, of which `added` go over."""

    ids: Ids
    added: RowSource


class HomeGallery(RemoteGallery, Protocol):
    """A gallery of a generation at a home."""

    @property
    def ids(self) -> Ids:
        """Its items, ascending."""
        ...

    @property
    def encoding(self) -> Mapping[str, Any]:
        """Empty: it has no 4-bit codes."""
        ...

    def source(self) -> RowSource:
        """All items, to be written elsewhere."""
        ...


class VectorHome(Protocol):
    """An engine that is home to a library's vectors. Every method raises LibraryError if it does not answer.

    A set of vectors is named by its tag, and has both galleries.
    """

    def claim(self, folder: Path, identity: str, stamps: Collection[str], stamp: str) -> None:
        """Note that the library in `folder`, with this identity, writes the generation with `stamp`.

        stamps  of the generations that the folder has
        Raises LibraryError if the place is another library's, or of a copy of the folder that has gone on since.
        """
        ...

    def write(
        self,
        tag: str,
        kind: str,
        levels: Sequence[LevelSpec],
        change: HomeChange,
        columns: ClipColumns | None,
        before: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """Add items to a gallery, again if they are there; returns its facts. It can be repeated.

        columns  for clips; before: its facts until now. None: it is made, empty, first
        """
        ...

    def open(self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids, facts: Mapping[str, Any]) -> HomeGallery:
        """A gallery with the items `ids`. Raises LibraryError if some of them are not there."""
        ...

    def held(self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids) -> Ids:
        """Those of the ids, ascending, whose items are there at every level."""
        ...

    def has(self, tag: str, levels: Sequence[LevelSpec]) -> bool:
        """Whether the whole set is there, with whatever items."""
        ...

    def delete(self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids) -> None:
        """Delete items, as far as they are there."""
        ...

    def settle(self, tags: Collection[str], stamp: str) -> None:
        """The newest generation that is here has `stamp`. Drop every set of vectors but those with `tags`; without any
        the place is free for another library."""
        ...


def open_home(address: str, make: bool = False) -> VectorHome:
    """The engine at an address; `make`: also where nothing is there yet.

    Raises InputError for what is not an address, LibraryError if the engine does not answer.
    """
    engine = _ENGINES.get(address.partition(":")[0])
    if engine is None:
        raise InputError(f"{address!r} is not a store for vectors. Give milvus://HOST:PORT/NAME, or `{FOLDER}`.")
    home: VectorHome = import_module(engine).Home(address, make)
    return home


def checked_store(store: str | None, frames: FrameSpec | None) -> str | None:
    """The address of a home, None for the folder. Raises InputError for one that cannot have single frames."""
    if store in (None, FOLDER):
        return None
    if frames is not None:
        raise InputError(
            f"Vectors of single frames stay in the folder of a library; {store} has none. Leave out --frame-vectors, "
            "or run `quartet index --no-frame-vectors` first."
        )
    return store
