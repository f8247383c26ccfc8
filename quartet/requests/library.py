"""What a library holds, and changes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from quartet.requests.request import PagedRequest, Progress, Request, read_as, read_nothing
from quartet.schemas.jobs import Job
from quartet.schemas.library import (
    CaptionsRemoved,
    Changed,
    Clip,
    Failure,
    LibraryInfo,
    ListedCaption,
    ListedClip,
    Tag,
    TimedText,
    Video,
)
from quartet.schemas.saved import SavedSearch, SavedSearches
from quartet.schemas.search import ClipSearch


def library(name: str | None = None) -> Request[LibraryInfo]:
    """Levels, counts and example queries, of this library or of the one called `name`."""
    path = "/v1/library" if name is None else f"/v1/libraries/{quote(name, safe='')}"
    return Request(read_as(LibraryInfo), "GET", path)


def clip(clip_id: int) -> Request[Clip]:
    """One clip, with its captions."""
    return Request(read_as(Clip), "GET", f"/v1/clips/{clip_id}")


def clips(video_id: int | None = None) -> PagedRequest[ListedClip]:
    """All clips, of one video or of the library, fetched a page at a time."""
    return PagedRequest(ListedClip, "/v1/clips", {} if video_id is None else {"video_id": video_id})


def videos(title: str = "") -> PagedRequest[Video]:
    """All videos, or those with the words of `title` in theirs, fetched a page at a time."""
    return PagedRequest(Video, "/v1/videos", {"q": title} if title else {})


def video(video_id: int) -> Request[Video]:
    """One video."""
    return Request(read_as(Video), "GET", f"/v1/videos/{video_id}")


def texts(video_id: int) -> PagedRequest[TimedText]:
    """Captions and subtitles of a video with their times, fetched a page at a time."""
    return PagedRequest(TimedText, f"/v1/videos/{video_id}/texts")


def folders() -> PagedRequest[str]:
    """The folders with videos, below the roots of the library."""
    return PagedRequest(str, "/v1/folders")


def failures() -> PagedRequest[Failure]:
    """The files that indexing refused, each with the reason."""
    return PagedRequest(Failure, "/v1/failures")


def tags() -> PagedRequest[Tag]:
    """All tags, each with the number of its videos."""
    return PagedRequest(Tag, "/v1/tags")


def captions() -> PagedRequest[ListedCaption]:
    """All captions, fetched a page at a time."""
    return PagedRequest(ListedCaption, "/v1/captions")


def rename_video(video_id: int, title: str) -> Request[Video]:
    """Give a video another title."""
    return Request(read_as(Video), "PATCH", f"/v1/videos/{video_id}", json={"title": title})


def tag_videos(video_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()) -> Request[Changed]:
    """Give tags to videos and take tags from them."""
    body = {"video_ids": list(video_ids), "add": list(add), "remove": list(remove)}
    return Request(read_as(Changed), "POST", "/v1/videos/tags", json=body)


def remove_videos(video_ids: Sequence[int]) -> Request[Changed]:
    """Take videos out of the library. Their files stay."""
    return Request(read_as(Changed), "DELETE", "/v1/videos", {"video_id": list(video_ids)})


def add_captions(file: Path, video: str | None = None, progress: Progress | None = None) -> Request[Job]:
    """Add the captions of a file (.txt, .jsonl, .csv, subtitles); `video` is what those that name none are about."""
    data = {} if video is None else {"video": video}
    return Request(read_as(Job), "POST", "/v1/captions/upload", files=[("file", file)], data=data, progress=progress)


def remove_captions(caption_ids: Sequence[int] = (), sources: Sequence[str] = ()) -> Request[CaptionsRemoved]:
    """Take captions out of the library, by their ids or by the names of the files that they came from."""
    params = {"caption_id": list(caption_ids), "source": list(sources)}
    return Request(read_as(CaptionsRemoved), "DELETE", "/v1/captions", params)


def verify(content: bool = False) -> Request[Job]:
    """Have the library checked; `content`: the videos too. The job's `verification` says what is wrong."""
    return Request(read_as(Job), "POST", "/v1/library/verify", json={"content": content})


def repair(accept_catalogue: bool = False) -> Request[Job]:
    """Have the library repaired. The job's `repair` says what was restored and what is lost."""
    return Request(read_as(Job), "POST", "/v1/library/repair", json={"accept_catalogue": accept_catalogue})


def tune(approximate_from: int = 200_000) -> Request[Job]:
    """Have the library searched approximately from this number of items on. See the job's `tuning`."""
    return Request(read_as(Job), "POST", "/v1/library/tune", json={"approximate_from": approximate_from})


def relocate(root: str, folder: str, path: str = ".") -> Request[Job]:
    """Set where the videos of a root are now: in `folder`, one of `jobs().folders`, or in a folder in it."""
    body = {"root": root, "folder": folder, "path": path}
    return Request(read_as(Job), "POST", "/v1/library/relocate", json=body)


def export_to_milvus(replace: bool = False, recall: float = 0.99) -> Request[Job]:
    """Have the vectors copied to the Milvus that the service is set to search. See the job's `export`."""
    return Request(read_as(Job), "POST", "/v1/library/export", json={"replace": replace, "recall": recall})


def evaluate(file: Path, split: str | None = None) -> Request[Job]:
    """Have it measured how well the library finds the captioned videos of a file. See the job's `evaluation`."""
    data = {} if split is None else {"split": split}
    return Request(read_as(Job), "POST", "/v1/library/evaluate/upload", files=[("file", file)], data=data)


def saved_searches() -> Request[SavedSearches]:
    """The searches that the library keeps, and whether clips are new to them."""
    return Request(read_as(SavedSearches), "GET", "/v1/searches")


def save_search(name: str, search: ClipSearch) -> Request[SavedSearch]:
    """Keep a search under a name. One of that name is replaced."""
    body = search.model_dump(mode="json", exclude_defaults=True)
    return Request(read_as(SavedSearch), "PUT", _saved(name), json=body)


def mark_seen(name: str) -> Request[None]:
    """The clips that the library has now are no longer new to a saved search."""
    return Request(read_nothing, "POST", f"{_saved(name)}/seen")


def forget_search(name: str) -> Request[None]:
    """Delete a saved search."""
    return Request(read_nothing, "DELETE", _saved(name))


def _saved(name: str) -> str:
    return f"/v1/searches/{quote(name, safe='')}"
