"""`/v1/searches`: searches that the library keeps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from indexer.catalog import saved_searches as stored
from quartet.errors import InputError
from quartet.schemas.saved import SavedSearch, SavedSearches
from quartet.schemas.search import ClipSearch
from service.http.addressing import ANY_TEXT
from service.http.content_types import JSON_BODY
from service.http.routes.dependencies import EngineDep, problems
from service.http.routes.questions import named_uploads
from service.search.requests import search_options

router = APIRouter(prefix="/v1/searches", tags=["search"], dependencies=[JSON_BODY])

Name = Annotated[str, Path(min_length=1, max_length=stored.LONGEST_NAME, description="Its name.")]


@router.get("", summary="Saved searches", responses=problems(503))
def list_searches(engine: EngineDep) -> SavedSearches:
    """The saved searches, in alphabetical order."""
    catalog = engine.library.catalog.engine
    newest = stored.newest_clip(catalog)
    return SavedSearches(items=[_listed(saved, newest) for saved in stored.saved_search_list(catalog)])


@router.put(f"/{{name:{ANY_TEXT}}}", summary="Save a search", responses=problems(400, 413, 415, 422, 503))
def save_search(name: Name, body: ClipSearch, engine: EngineDep) -> SavedSearch:
    """Save a search under a name. An existing search of that name is replaced. Clips that the library has now are not
    new to it."""
    if named_uploads(body):
        raise InputError("A search with an uploaded file cannot be saved: the service does not keep uploads.")
    search_options(body)
    catalog = engine.library.catalog.engine
    saved = stored.save_search(catalog, name, body.model_dump_json(exclude_defaults=True))
    return _listed(saved, stored.newest_clip(catalog))


@router.post(f"/{{name:{ANY_TEXT}}}/seen", status_code=204, summary="Mark as seen", responses=problems(404, 422, 503))
def mark_search_seen(name: Name, engine: EngineDep) -> None:
    """Mark the current clips as seen for this search."""
    catalog = engine.library.catalog.engine
    stored.saved_search(catalog, name)
    stored.mark_seen(catalog, name, stored.newest_clip(catalog))


@router.delete(f"/{{name:{ANY_TEXT}}}", status_code=204, summary="Forget a search", responses=problems(404, 422, 503))
def delete_search(name: Name, engine: EngineDep) -> None:
    """Delete a saved search."""
    stored.remove_search(engine.library.catalog.engine, name)


def _listed(saved: stored.SavedSearch, newest: int) -> SavedSearch:
    request = ClipSearch.model_validate_json(saved.request)
    return SavedSearch(name=saved.name, request=request, seen=saved.seen, new_clips=newest > saved.seen)
