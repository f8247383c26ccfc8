"""`/v1/embeddings`: vectors whose products are the scores that searches tell."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def test_products_of_embeddings_are_what_levels_say(client: TestClient) -> None:
    texts = ["a red square sliding", "a wall"]
    answer = client.post("/v1/embeddings", json={"input": texts}).json()
    assert answer["object"] == "list" and [one["index"] for one in answer["data"]] == [0, 1]
    assert {one["kind"] for one in answer["data"]} == {"query"}
    picture = client.get("/v1/clips/1/thumbnail").content
    image = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(image, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
    item = client.post("/v1/embeddings", json={"input": url}).json()["data"][0]
    assert item["kind"] == "item" and len(item["embedding"]) == len(answer["data"][0]["embedding"])
    part = answer["levels"][0]
    assert (part["name"], part["start"]) == ("global", 0) and answer["levels"][-1]["end"] == len(item["embedding"])
    assert np.isfinite(item["embedding"]).all() and np.any(item["embedding"])
    one = client.post("/v1/embeddings", json={"input": texts[0], "level": "entity", "encoding_format": "base64"}).json()
    vector = np.frombuffer(base64.b64decode(one["data"][0]["embedding"]), "<f4")
    entity = answer["levels"][1]
    assert vector.tolist() == answer["data"][0]["embedding"][entity["start"] : entity["end"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"input": "a", "model": "other"}, "not 'other'"),
        ({"input": "a", "level": "colour"}, "There is no level 'colour'"),
        ({"input": " "}, "The query is empty"),
        ({"input": "data:image/png;base64,???"}, "is not followed by base64"),
        ({}, "input is missing"),
    ],
)
def test_what_cannot_be_encoded_is_told(client: TestClient, body: dict[str, object], said: str) -> None:
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 422 and said in answer.json()["detail"], answer.text
