"""A search with the client of openapi-python-client (the package `generated`): python search.py URL KEY VIDEO."""

from __future__ import annotations

import sys

from generated import AuthenticatedClient
from generated.api.clips import get_clip
from generated.api.search import search_captions_upload, search_clips, search_clips_batch
from generated.models import ClipAnswer, ClipAnswers, ClipBatchSearch, ClipSearch, Problem

url, key, video = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key) as client:
    answer = search_clips.sync(client=client, body=ClipSearch(query="a red square sliding", k=3))
    assert isinstance(answer, ClipAnswer) and len(answer.hits) == 3
    for hit in answer.hits:
        levels = hit.levels.additional_properties
        assert abs(sum(level.contribution for level in levels.values()) - hit.score) < 1e-6
    several = search_clips_batch.sync(client=client, body=ClipBatchSearch(queries=["a wall", "a square"]))
    assert isinstance(several, ClipAnswers) and len(several.answers) == 2
    missing = get_clip.sync(4711, client=client)
    assert isinstance(missing, Problem) and missing.status == 404
    assert search_captions_upload.sync.__doc__
    print(answer.hits[0].title)
