"""A running service as tools for agents (Model Context Protocol): search, describe, look, list, index.

The extra `mcp` brings the SDK. `quartet mcp` runs it over standard input and output, or over HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from quartet import __version__
from quartet.client import AsyncClient
from quartet.errors import QuartetError
from quartet.schemas.search import Filter
from quartet.schemas.search_answers import CaptionAnswer, ClipAnswer, SimilarAnswer

_INSTRUCTIONS = """A library of video clips. Search it with a sentence that describes what is seen, look at the clips
that are found (eight frames of each), and say which ones answer the question. Times are seconds of the video. A level
with weight 0 does not count for a query."""


P = ParamSpec("P")
R = TypeVar("R")


def _with_reason(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """An agent reads why a tool has failed; of any other exception the SDK keeps the reason to itself."""

    @wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except QuartetError as error:
            raise ToolError(str(error)) from None

    return call


def make_server(client: AsyncClient) -> MCPServer:
    """The tools over `client`, which stays the caller's."""
    server = MCPServer("quartet", version=__version__, instructions=_INSTRUCTIONS)

    @server.tool()
    @_with_reason
    async def search_clips(query: str, k: int = 5, tags: list[str] | None = None) -> dict[str, Any]:
        """Find the video clips that a sentence describes. `tags`: only videos with all of them."""
        return _clips(await client.search(query, k, filter=Filter(tags=tags) if tags else None))

    @server.tool()
    @_with_reason
    async def similar_clips(clip_id: int, k: int = 5) -> dict[str, Any]:
        """Find clips like a clip of the library."""
        return _clips(await client.similar(clip_id, k))

    @server.tool()
    @_with_reason
    async def describe_clip(clip_id: int, k: int = 5) -> dict[str, Any]:
        """The captions of the library that describe a clip best, and those that were written for it."""
        own = await client.clip(clip_id)
        found = _captions(await client.captions_of(clip_id, k))
        return {"title": own.title, "start": own.start, "end": own.end, **found} | {
            "own_captions": [caption.text for caption in own.captions]
        }

    @server.tool()
    @_with_reason
    async def describe_video(path: str, k: int = 5) -> dict[str, Any]:
        """The captions of the library that describe a video file on this machine. The uploaded copy is deleted after
        analysis."""
        return _captions(await client.describe(Path(path), k))

    @server.tool()
    @_with_reason
    async def look_at_clip(clip_id: int) -> Image:
        """Eight frames of a clip side by side, from start to end."""
        return Image(data=await client.strip(clip_id), format="webp")

    @server.tool()
    @_with_reason
    async def list_videos(title: str = "", most: int = 50) -> list[dict[str, Any]]:
        """The videos of the library, or only those whose titles contain all of these words."""
        found = []
        async for video in client.videos(title):
            found.append(
                {"video_id": video.video_id, "title": video.title, "seconds": video.duration, "tags": video.tags}
            )
            if len(found) >= most:
                break
        return found

    @server.tool()
    @_with_reason
    async def library() -> dict[str, Any]:
        """What the library holds, its model, and examples of queries."""
        found = await client.library()
        return {"counts": found.counts.model_dump(), "model": found.model.name, "examples": found.examples}

    @server.tool()
    @_with_reason
    async def index_folder(folder: str, path: str = ".") -> dict[str, Any]:
        """Index a folder on the service's machine in the background. `job` shows the progress."""
        return (await client.index_folder(folder, path)).model_dump(mode="json")

    @server.tool()
    @_with_reason
    async def job(job_id: str) -> dict[str, Any]:
        """State and progress of an indexing job."""
        return (await client.job(job_id)).model_dump(mode="json")

    return server


def _clips(answer: ClipAnswer | SimilarAnswer) -> dict[str, Any]:
    """What an agent needs of an answer: an eighth of it."""
    hits = [
        {
            "clip_id": hit.clip_id,
            "video_id": hit.video_id,
            "title": hit.title,
            "start": hit.start,
            "end": hit.end,
            "score": round(hit.score, 3),
            "levels": {name: round(one.activation, 3) for name, one in hit.levels.items() if one.weight},
            "matched": hit.matched.model_dump(),
        }
        for hit in answer.hits
    ]
    return {"exact": answer.exact, "hits": hits}


def _captions(answer: CaptionAnswer) -> dict[str, Any]:
    return {"captions": [{"text": hit.text, "score": round(hit.score, 3)} for hit in answer.hits]}
