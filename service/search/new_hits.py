"""What is new for the saved searches of a library."""

from __future__ import annotations

from indexer.catalog.saved_searches import SavedSearch, mark_seen, newest_clip, saved_search_list
from quartet.schemas.search import ClipSearch, Filter
from quartet.schemas.search_answers import ClipAnswer
from service.search.engine import Engine
from service.search.requests import question, search_options


async def new_hits(engine: Engine, saved: SavedSearch) -> ClipAnswer:
    """The hits of a saved search among the clips that have come since it was last looked at.

    Raises what a search raises.
    """
    request = ClipSearch.model_validate_json(saved.request)
    known = request.filter or Filter()
    request = request.model_copy(update={"filter": known.model_copy(update={"after_clip": saved.seen})})
    (answer,) = await engine.search_clips([question(request)], search_options(request))
    return answer


async def all_new_hits(engine: Engine) -> list[tuple[SavedSearch, ClipAnswer, int]]:
    """Every saved search that has new hits, with these and the newest clip that was looked at."""
    found = []
    catalog = engine.library.catalog.engine
    for saved in saved_search_list(catalog):
        newest = newest_clip(catalog)
        if newest <= saved.seen:
            continue
        answer = await new_hits(engine, saved)
        if answer.hits:
            found.append((saved, answer, newest))
        else:
            mark_seen(catalog, saved.name, newest)
    return found
