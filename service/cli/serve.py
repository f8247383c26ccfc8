"""`quartet serve`: the API and the page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    PrecisionOption,
    RootOption,
    existing_library,
    library_of,
    roots_of,
    settings_of,
)

if TYPE_CHECKING:
    from service.search.engine import Engine
    from service.settings import Settings

HostOption = Annotated[
    str | None,
    typer.Option(
        help="Address to listen on; 0.0.0.0 for all. Default: QUARTET_HOST, else 127.0.0.1.", show_default=False
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port to listen on. Default: QUARTET_PORT, else 8000.", show_default=False),
]


def serve(
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    root: RootOption = None,
    host: HostOption = None,
    port: PortOption = None,
    allow_no_key: Annotated[
        bool, typer.Option("--allow-no-key", help="Allow addresses other than loopback without an API key.")
    ] = False,
) -> None:
    """Serve the search page and the API of a library, or of several.

    The page is at /, the API reference at /docs. The service uses the model that built the library. You can index the
    library while the service runs: it switches to the new index without failing a request.

    The service listens on loopback. Any other address needs an API key (docs/settings.md).

    [dim]quartet serve --library my-library[/]

    [dim]QUARTET_LIBRARIES=holiday=lib1,news=lib2 quartet serve[/]

    [dim]QUARTET_API_KEY_FILE=key.txt quartet serve --library my-library --host 0.0.0.0 --port 8080[/]
    """
    settings = settings_of(
        library=library,
        model=model,
        device=device,
        precision=precision,
        roots=roots_of(root),
        host=host,
        port=port,
        allow_no_key=allow_no_key or None,
    )
    if not settings.libraries:
        library_of(settings)
    run_server(settings)


def run_server(settings: Settings) -> None:
    """Listen, open the libraries of `settings` and their models, and serve them until interrupted.

    Raises InputError, LibraryError and, where there is no such model, ModelError before it listens; FingerprintError
    and other ModelErrors when it has ended because of them.
    """
    from model.registry import require_model, resolve_device
    from service.encoders.model_choice import chosen_model
    from service.encoders.serving_encoders import start_processes_of

    models = {}
    for name, own in settings.by_library().items():
        existing_library(own)
        models[name] = chosen_model(own)
        require_model(models[name], own.models)
    if resolve_device(settings.device) == "cpu":
        start_processes_of((models[name], own.models) for name, own in settings.by_library().items())
    # While that server imports what it needs, this process imports the rest.
    from service.encoders.garbage_collection import startup_objects_frozen
    from service.http.server import make_server, require_free, settings_to_listen
    from service.observe.logs import configure

    settings = settings_to_listen(settings)
    require_free(settings)
    from service.http.app import BackgroundStart, create_app
    from service.search.engine import API

    configure(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}{settings.base_path}"
    loading = ", ".join(f"{models[name]} for {own.library}" for name, own in settings.by_library().items())
    typer.echo(f"Listening on {address}. Loading {loading}.")
    frozen = ExitStack()

    def ready(engines: Sequence[Engine]) -> None:
        frozen.enter_context(startup_objects_frozen())
        for engine in engines:
            below = "" if engine.address == API else engine.address
            typer.echo(
                f"Serving {engine.library.path} with {engine.spec.name} on {engine.device}: {address}{below} "
                "(API reference: /docs). Ctrl-C stops it."
            )

    def failed() -> None:
        server.should_exit = True

    start = BackgroundStart(ready, failed)
    server = make_server(create_app(settings, start=start), settings)
    with suppress(KeyboardInterrupt), frozen:
        # uvicorn raises the signal again after it has stopped in good order.
        server.run()
    if start.error is not None:
        raise start.error
    if not server.started:
        raise typer.Exit(1)
