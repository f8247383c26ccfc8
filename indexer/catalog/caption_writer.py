"""Writing captions: each text once, with the files that it came from. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, Engine, delete, insert, select, update

from indexer.catalog.model_change import drop_next
from indexer.catalog.publication_writer import mark_erased
from indexer.catalog.schema import caption_sources, captions, staged
from indexer.catalog.staged_vectors import pack, stage
from model.levels import LevelSpec, Vectors


class CaptionWriter:
    """See the module. `indexer.catalog.writer.CatalogWriter` is one."""

    engine: Engine
    levels: tuple[LevelSpec, ...]

    def add_captions(self, texts: Sequence[str], vectors: Vectors) -> list[int]:
        """Add new distinct texts with their vectors, row i for text i; returns their ids."""
        with self.engine.begin() as connection:
            # A text that was removed and is added again before it has gone keeps its row.
            known = select(captions.c.text, captions.c.id).where(captions.c.text.in_(texts))
            leaving = {row.text: row.id for row in connection.execute(known)}
            ids = [leaving.get(text) or _insert_caption(connection, text) for text in texts]
            connection.execute(update(captions).where(captions.c.id.in_(leaving.values())).values(removed=None))
            connection.execute(delete(caption_sources).where(caption_sources.c.caption_id.in_(leaving.values())))
            packed = [pack(self.levels, {name: rows[i] for name, rows in vectors.items()}) for i in range(len(ids))]
            stage(connection, "captions", list(zip(ids, packed, strict=True)))
        return ids

    def caption_ids(self) -> dict[str, int]:
        with self.engine.connect() as connection:
            return {
                row.text: row.id for row in connection.execute(select(captions).where(captions.c.removed.is_(None)))
            }

    def remove_captions(self, caption_ids: Sequence[int], sources: Collection[str], generation: int) -> None:
        """Mark captions as gone from generation `generation` on, without a trace in its files.

        Other captions that came from the files `sources` came from others too, and forget these.
        """
        with self.engine.begin() as connection:
            chosen = [int(caption_id) for caption_id in caption_ids]
            gone = captions.c.id.in_(chosen) & captions.c.removed.is_(None)
            theirs = caption_sources.c.source.in_(sources) & caption_sources.c.caption_id.not_in(chosen)
            connection.execute(delete(caption_sources).where(theirs))
            connection.execute(delete(staged).where(staged.c.kind == "captions", staged.c.item_id.in_(chosen)))
            drop_next(connection, "captions", chosen)
            connection.execute(update(captions).where(gone).values(removed=generation))
            mark_erased(connection)

    def leaving_captions(self, settled: int) -> set[str]:
        """Texts that were removed after generation `settled`: their removal was interrupted."""
        with self.engine.connect() as connection:
            return set(connection.scalars(select(captions.c.text).where(captions.c.removed > settled)))

    def caption_sources(self) -> set[str]:
        """The names of the files that captions came from."""
        query = select(caption_sources.c.source).join(captions).where(captions.c.removed.is_(None))
        with self.engine.connect() as connection:
            return set(connection.scalars(query.distinct()))

    def captions_only_from(self, sources: Collection[str]) -> list[int]:
        """Ids of the captions that came from these files and from no other."""
        source = caption_sources.c
        others = select(source.caption_id).where(source.source.not_in(sources))
        theirs = select(source.caption_id).where(source.source.in_(sources), source.caption_id.not_in(others))
        query = select(captions.c.id).where(captions.c.id.in_(theirs), captions.c.removed.is_(None))
        with self.engine.connect() as connection:
            return list(connection.scalars(query))

    def add_caption_sources(self, rows: Iterable[tuple[int, str, int | None, float | None, float | None]]) -> None:
        """Record (caption id, source, video id or None, its part: start and end in seconds or None), each once."""
        keys = ("caption_id", "source", "video_id", "start", "end")
        with self.engine.begin() as connection:
            known = {tuple(row) for row in connection.execute(select(*(caption_sources.c[key] for key in keys)))}
            new = [dict(zip(keys, row, strict=True)) for row in dict.fromkeys(rows) if row not in known]
            if new:
                connection.execute(insert(caption_sources), new)


def _insert_caption(connection: Connection, text: str) -> int:
    return connection.scalars(insert(captions).values(text=text).returning(captions.c.id)).one()
