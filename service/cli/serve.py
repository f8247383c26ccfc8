"""`quartet serve`: the API and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.common import DeviceOption, LibraryOption, ModelOption, RootOption, library_of, roots_of, settings_of

if TYPE_CHECKING:
    from service.settings import Settings


def serve(
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the search page and the API of a library.

    The page is at /, the API reference at /docs. A library that another model built is refused. The library
    may be indexed again while it is served: the service changes over without failing a request.

    [dim]quartet serve --library my-library[/]

    [dim]quartet serve --library my-library --host 0.0.0.0 --port 80[/]
    """
    settings = settings_of(library=library, model=model, device=device, roots=roots_of(root))
    library_of(settings)
    run_server(settings, host, port)


def run_server(settings: Settings, host: str, port: int) -> None:
    """Open the library and the model of `settings` and serve them until interrupted.

    Raises LibraryError, ModelError or FingerprintError before it listens.
    """
    import uvicorn

    from service.app import create_app
    from service.engine import Engine

    engine = Engine.open(settings)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(
        f"Serving {settings.library} with {engine.spec.name} on {engine.device}: "
        f"http://{shown}:{port} (API reference: /docs). Ctrl-C stops it."
    )
    try:
        uvicorn.run(create_app(settings, engine=engine), host=host, port=port, log_level="info")
    finally:
        engine.close()
