"""`quartet mcp`: a running service as tools for agents."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from service.cli.options import settings_of
from service.cli.remote import NameOption


def mcp(
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="Address of the running service.")
    ] = "http://127.0.0.1:8000",
    library: NameOption = None,
    transport: Annotated[
        Literal["stdio", "http"],
        typer.Option(help="stdio: an agent starts this command. http: listen for agents on a port (/mcp)."),
    ] = "stdio",
    host: Annotated[str, typer.Option(help="Address to listen on with http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on with http.")] = 8001,
) -> None:
    """Give agents tools: search, look at clips, describe, list, index (Model Context Protocol).

    Set the service's API key in QUARTET_API_KEY or QUARTET_API_KEY_FILE.

    [dim]quartet mcp --server http://localhost:8000[/]
    """
    from quartet.client import AsyncClient
    from quartet.errors import InputError

    try:
        from quartet.mcp_server import make_server
    except ModuleNotFoundError as error:
        raise InputError("Agent tools need the package mcp. Run: pip install 'quartet-video[mcp]'.") from error

    async def run() -> None:
        async with AsyncClient(server, settings_of().key(), library=library) as client:
            tools = make_server(client)
            if transport == "stdio":
                await tools.run_stdio_async()
            else:
                await tools.run_streamable_http_async(host=host, port=port)

    asyncio.run(run())
