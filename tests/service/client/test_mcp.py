"""Tools for agents, asked with the client of the protocol's own SDK: in this process, and over standard input."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from model.fake_encoder import FakeEncoder
from quartet.client import AsyncClient
from service.settings import Settings
from tests.service.running import running

mcp = pytest.importorskip("mcp")

if TYPE_CHECKING:
    from tests.service.conftest import World


def said(result: Any) -> Any:
    return json.loads(result.content[0].text)


def test_an_agent_searches_looks_and_describes(built_world: World) -> None:
    from quartet.mcp_server import make_server

    async def ask(url: str) -> None:
        async with AsyncClient(url) as client, mcp.Client(make_server(client)) as agent:
            names = {tool.name for tool in (await agent.list_tools()).tools}
            assert {"search_clips", "describe_clip", "look_at_clip", "list_videos", "index_folder"} <= names
            found = said(await agent.call_tool("search_clips", {"query": "a red square sliding", "k": 2}))
            assert len(found["hits"]) == 2 and found["exact"]
            clip = found["hits"][0]["clip_id"]
            (picture,) = (await agent.call_tool("look_at_clip", {"clip_id": clip})).content
            assert picture.type == "image" and picture.mime_type == "image/webp"
            described = said(await agent.call_tool("describe_clip", {"clip_id": clip, "k": 1}))
            assert len(described["captions"]) == 1 and described["own_captions"]
            wrong = await agent.call_tool("describe_clip", {"clip_id": 4711})
            assert wrong.is_error and "There is no clip 4711" in wrong.content[0].text

    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        asyncio.run(ask(service.url))


def test_an_agent_starts_the_command(built_world: World) -> None:
    async def ask(url: str) -> None:
        command = mcp.StdioServerParameters(
            command=sys.executable, args=["-P", "-m", "service", "mcp", "--server", url]
        )
        async with mcp.Client(mcp.stdio_client(command)) as agent:
            found = said(await agent.call_tool("library", {}))
            assert found["counts"]["clips"] == 5

    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        asyncio.run(ask(service.url))
