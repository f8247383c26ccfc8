"""A request as data, and a list that takes one for every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import httpx2
from pydantic import BaseModel

from quartet.answers import read_answer
from quartet.schemas.library import Page

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

Progress: TypeAlias = Callable[[int, int], None]
"""Gets the bytes that are sent, and how many there are."""

PAGE = 500
"""Items of a list that are fetched at a time."""


@dataclass(frozen=True)
class Request(Generic[R]):
    """A request, and how its answer is read.

    files     files to send as a form, each with the name of its part, and the fields `data`
    content   a body of bytes
    progress  called with the bytes of `files` that are sent, and with all that they have
    target    a file for the body of the answer, which is then not in memory; there only when it is complete
    events    called with the data of each server-sent event of the answer, as it comes
    """

    read: Callable[[httpx2.Response], R]
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    files: Sequence[tuple[str, Path]] = ()
    data: Mapping[str, str] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    target: Path | None = None
    events: Callable[[str], None] | None = None


@dataclass(frozen=True)
class PagedRequest(Generic[T]):
    """A list of `item`, which the service gives a page at a time."""

    item: type[T]
    path: str
    params: Mapping[str, int | str] = field(default_factory=dict)

    def after(self, page: Page[T] | None) -> Request[Page[T]] | None:
        """The request for the page after `page`, or for the first; None if `page` is the last."""
        end = 0 if page is None else page.offset + len(page.items)
        if page is not None and (not page.items or end >= page.total):
            return None
        params = {**self.params, "offset": end, "limit": PAGE}
        return Request(read_as(Page[self.item]), "GET", self.path, params)  # type: ignore[name-defined]


def read_as(answer: type[M]) -> Callable[[httpx2.Response], M]:
    """Reads a body as an `answer`."""
    return partial(read_answer, answer)


def read_bytes(response: httpx2.Response) -> bytes:
    return response.content


def read_nothing(response: httpx2.Response) -> None:
    """Of an answer without a body."""
