"""`/v1/libraries`: the libraries of a service. Every path of one is below its address (`service.http.addressing`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from quartet.schemas import library as schemas
from service.http.addressing import ANY_TEXT
from service.http.routes.dependencies import EngineDep, problems
from service.http.routes.status import counts_of, library_info, model_info
from service.http.served_libraries import ServedLibraries

router = APIRouter(prefix="/v1/libraries", tags=["browse"])

Name = Annotated[str, Path(max_length=64)]


@router.get("", summary="All libraries", responses=problems(503))
def list_libraries(request: Request, _: EngineDep) -> schemas.Libraries:
    """The libraries of this service. The first one is the default: paths without the name of a library are its."""
    libraries: ServedLibraries = request.app.state.libraries
    default = libraries.default
    return schemas.Libraries(
        libraries=[
            schemas.ListedLibrary(
                name=one.name,
                default=one is default,
                url=f"/v1/libraries/{one.name}",
                generation=one.engine.generation().name,
                model=model_info(one.engine),
                counts=counts_of(one.engine),
            )
            for one in libraries
            if one.engine is not None
        ]
    )


@router.get("/{name}", summary="One of the libraries", responses=problems(404, 422, 503))
def get_named_library(name: Name, request: Request, _: EngineDep) -> schemas.LibraryInfo:
    """As `/v1/library`. Every other path, too, has a form for one library: `/v1/libraries/{name}/search/clips`."""
    libraries: ServedLibraries = request.app.state.libraries
    return library_info(libraries.find(name), libraries)


@router.api_route(
    f"/{{name}}/{{rest:{ANY_TEXT}}}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
)
def find_in_unknown_library(name: str, rest: str, request: Request) -> None:
    """Paths of known libraries do not come here. Raises NotFoundError."""
    libraries: ServedLibraries = request.app.state.libraries
    libraries.find(name)
