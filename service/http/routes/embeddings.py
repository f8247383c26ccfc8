"""`/v1/embeddings`: the vectors of texts and pictures, for whom to use elsewhere."""

from __future__ import annotations

import base64
import binascii
import tempfile
from pathlib import Path

import numpy as np
from fastapi import APIRouter, Request

from model.encoder import EncoderSpec
from model.levels import Vectors
from quartet.errors import InputError
from quartet.schemas.embeddings import Embedding, EmbeddingRequest, Embeddings, LevelPart, Usage
from quartet.schemas.question import checked_query
from service.http.content_types import JSON_BODY
from service.http.routes.dependencies import EngineDep, caller, problems, ready_json, until_disconnect
from service.search.engine import Engine

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], dependencies=[JSON_BODY])

_PICTURE = "data:image/"


@router.post("", summary="Vectors of texts and pictures", responses=problems(400, 413, 415, 422, 429, 503))
async def create_embeddings(body: EmbeddingRequest, request: Request, engine: EngineDep) -> Embeddings:
    """Encode texts as queries, and pictures as items.

    An embedding concatenates the vectors of all levels. `levels` gives the position of each and the formula of its
    score. If a text lacks a level (a text without a verb has no action), its vector is all zeros.
    """
    with engine.one_model() as model:
        spec = model.spec
        if body.model not in (None, spec.name):
            raise InputError(f"The model of this service is {spec.name!r}, not {body.model!r}.")
        chosen = [level for level in spec.levels if body.level in (None, level.name)]
        if not chosen:
            known = ", ".join(level.name for level in spec.levels)
            raise InputError(f"There is no level {body.level!r}. The levels are: {known}.")
        inputs = [body.input] if isinstance(body.input, str) else body.input
        vectors = await until_disconnect(request, _encoded(engine, inputs, caller(request)))
    names = [level.name for level in chosen]
    data = [
        Embedding(
            index=index,
            embedding=_shown(np.concatenate([own[name][0] for name in names]), body.encoding_format),
            kind="item" if text.startswith(_PICTURE) else "query",
        )
        for index, (text, own) in enumerate(zip(inputs, vectors, strict=True))
    ]
    size = sum(map(len, inputs))
    usage = Usage(prompt_tokens=size, total_tokens=size)
    return ready_json(Embeddings(data=data, model=spec.name, levels=_parts(spec, names), usage=usage))


async def _encoded(engine: Engine, inputs: list[str], client: str) -> list[Vectors]:
    try:
        texts = [checked_query(text) for text in inputs if not text.startswith(_PICTURE)]
    except ValueError as error:
        raise InputError(f"input: {error}") from None
    found = iter(await engine.encode_texts(texts, client) if texts else [])
    return [await _picture(engine, one, client) if one.startswith(_PICTURE) else next(found) for one in inputs]


async def _picture(engine: Engine, given: str, client: str) -> Vectors:
    head, _, content = given.partition(",")
    try:
        picture = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"input: {head[:40]!r} is not followed by base64.") from None
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(picture)
        return (await engine.encode_upload(path, client=client))[0]


def _shown(vector: np.ndarray, form: str) -> list[float] | str:
    whole = np.ascontiguousarray(vector, dtype="<f4")
    if form == "base64":
        return base64.b64encode(whole.tobytes()).decode()
    numbers: list[float] = whole.tolist()
    return numbers


def _parts(spec: EncoderSpec, names: list[str]) -> list[LevelPart]:
    parts, start = [], 0
    for level in spec.levels:
        if level.name not in names:
            continue
        parts.append(
            LevelPart(
                name=level.name,
                start=start,
                end=start + level.dim,
                activation=level.activation,
                scale=level.scale,
                bias=level.bias,
                weight=level.weight,
            )
        )
        start += level.dim
    return parts
