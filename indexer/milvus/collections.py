"""How a library is in Milvus: a collection per gallery and level, and an alias that names the live generation.

    NAME                      alias of the live generation's NAME_about_TAG: moving it changes all over at once
    NAME_about_TAG            one row: what a reader has to know of the generation (`GenerationRecord`), written last
    NAME_clips_TAG_LEVEL      id, vector, whether the clip has the level; video, start, end
    NAME_captions_TAG_LEVEL   the first three

A tag is the number of the generation and a hash of its contents and of this format, such as 000007_1f0c2a9b. A
collection never changes once the alias has named its generation. Every collection of a gallery has all of its items.
Milvus has had several vector fields per collection only since 2.4: one level each suits every server from 2.3 on.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from indexer.store.generation import KINDS
from indexer.store.manifest import ModelInfo
from model.levels import LevelSpec
from quartet.errors import LibraryError

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient
    from pymilvus.milvus_client.index import IndexParams

FORMAT_VERSION = 2
"""Of what `GenerationRecord` holds and of the fields of the collections."""

MAX_HITS = 16_384
"""The most hits that Milvus gives for one query."""

_MAX_TEXT_BYTES = 65_535
"""Bytes of the longest text that a field of Milvus holds."""

_POLL_INTERVAL = 0.5
"""Seconds between looks at an index that is being made."""

ABOUT = "about"


VECTOR, HAS = "vector", "has_level"


def collection_name(name: str, part: str, tag: str) -> str:
    """The collection `about` of a generation, or what begins the names of those of its `clips` or `captions`."""
    return f"{name}_{part}_{tag}"


def level_collection(gallery: str, level: str) -> str:
    """The collection of a level of a gallery."""
    return f"{gallery}_{level}"


def tag_of(name: str, collection: str) -> str | None:
    """The tag of a collection of the library `name`; None if it is not of that library."""
    parts, tag = "|".join((*KINDS, ABOUT)), r"\d+_[0-9a-f]{8}"
    # What has a second tag is of a library whose name looks like a collection. Before format 2 there was no level.
    found = re.fullmatch(rf"{name}_(?:{parts})_({tag})(?:_(?!.*_{tag})\w+)?", collection)
    return found[1] if found else None


@dataclass(frozen=True)
class Lists:
    """How a gallery's vectors are searched: inverted lists in every segment of Milvus.

    count   lists per segment (`nlist`)
    nprobe  lists looked into; depth: hits taken per level
    target  recall@10 asked for; recall: reached with the questions that they were tuned with
    """

    count: int
    nprobe: int
    depth: int
    target: float
    recall: float


@dataclass(frozen=True)
class GalleryFacts:
    """What a reader has to know of a gallery.

    count     items
    norms     per level, the largest L2 norm: bounds the rounding of inner products
    patterns  the distinct combinations of levels that items have, in the order of the levels
    lists     None: every search compares the query with every vector
    """

    count: int
    norms: dict[str, float]
    patterns: list[list[bool]]
    lists: Lists | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> GalleryFacts:
        lists = raw["lists"]
        return cls(**{**raw, "lists": None if lists is None else Lists(**lists)})

    @property
    def pattern_rows(self) -> npt.NDArray[np.bool_]:
        """(P, L)."""
        return np.array(self.patterns, dtype=np.bool_).reshape(len(self.patterns), len(self.norms))


@dataclass(frozen=True)
class GenerationRecord:
    """A generation, as its collection `about` says.

    library   identity of the library that was exported (`indexer.disk.library_identity`)
    manifest  SHA-256 of the manifest of the generation's folder
    """

    library: str
    generation: str
    manifest: str
    model: ModelInfo
    levels: tuple[LevelSpec, ...]
    galleries: dict[str, GalleryFacts]

    @property
    def tag(self) -> str:
        # With the format: the live generation may be the same one in an earlier format, until the alias moves.
        contents = hashlib.sha256(f"{FORMAT_VERSION} {self.library} {self.manifest}".encode()).hexdigest()
        return f"{self.generation}_{contents[:8]}"

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> GenerationRecord:
        """Raises LibraryError for another format."""
        raw: dict[str, Any] = json.loads(text)
        version = raw.pop("format_version")
        if version != FORMAT_VERSION:
            raise LibraryError(
                f"The library in Milvus has format version {version}, and this version of Quartet reads "
                f"{FORMAT_VERSION}. Export it again."
            )
        return cls(
            model=ModelInfo(**raw.pop("model")),
            levels=tuple(LevelSpec(**level) for level in raw.pop("levels")),
            galleries={kind: GalleryFacts.from_json(facts) for kind, facts in raw.pop("galleries").items()},
            **raw,
        )


def level_schema(client: MilvusClient, level: LevelSpec, timed: bool) -> CollectionSchema:
    """The fields of a level of a gallery; `timed`: with those of clips."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    if timed:
        schema.add_field("video", DataType.INT64)
        schema.add_field("start", DataType.DOUBLE)
        schema.add_field("end", DataType.DOUBLE)
    schema.add_field(HAS, DataType.BOOL)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=level.dim)
    return schema


def build_index(client: MilvusClient, collection: str, index: IndexParams) -> None:
    """Make the index of a collection and load it for searches. Raises LibraryError if it cannot be made."""
    # pymilvus waits too, but half a second for every field before it looks.
    client.create_index(collection, index, sync=False)
    for name in client.list_indexes(collection):
        while (state := client.describe_index(collection, name)["state"]) != "Finished":
            if state == "Failed":
                raise LibraryError(f"Milvus could not build the index {name} of {collection}. See the log of Milvus.")
            time.sleep(_POLL_INTERVAL)
    client.load_collection(collection)


def write_generation_record(client: MilvusClient, name: str, about: GenerationRecord) -> str:
    """Make the collection that says what a generation is; returns its name."""
    collection = collection_name(name, ABOUT, about.tag)
    make_text_collection(client, collection, about.to_json())
    client.flush(collection)
    return collection


def make_text_collection(client: MilvusClient, collection: str, text: str, new: bool = True) -> None:
    """Make a collection that has nothing but a text; not `new`: replace the text of the one that is there."""
    from pymilvus import DataType

    row = {"id": 0, "text": text, "unused": [0.0, 0.0]}
    if not new:
        client.upsert(collection, [row])
        return
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=_MAX_TEXT_BYTES)
    # No collection of Milvus goes without a vector.
    schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("unused", index_type="FLAT", metric_type="IP")
    client.create_collection(collection, schema=schema)
    client.insert(collection, [row])
    build_index(client, collection, index)


def read_record_text(client: MilvusClient, collection: str) -> str:
    """What a collection `about` says. Raises LibraryError if it says nothing."""
    text = read_text(client, collection)
    if text is None:
        raise LibraryError(f"The collection {collection} in Milvus is empty. Export the library again.")
    return text


def read_text(client: MilvusClient, collection: str) -> str | None:
    """The text of a collection that has nothing else; None if an interruption has left it empty."""
    client.load_collection(collection)
    rows = client.query(collection, ids=[0], output_fields=["text"], consistency_level="Strong")
    return rows[0]["text"] if rows else None
