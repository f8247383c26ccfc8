"""What publishing a generation reads from the catalogue, and writes to it. Every method is one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, delete, exists, func, insert, select, text, update

from indexer.catalog.model_change import MODEL_BEFORE, finish_change, forget_change, keep_generation
from indexer.catalog.schema import captions, clips, generations, staged, videos
from indexer.catalog.staged_vectors import pack, stage, staged_rows
from indexer.catalog.word_index import scrub_word_index
from indexer.catalog.writing_session import fact, set_fact
from indexer.search.vectors.row_source import Ids, Rows, RowSource, merged
from model.levels import FRAMES, LevelSpec

ERASE = "erase"
"""The fact that something was removed on purpose, `_WAITS` or `_DUE`."""

_WAITS = "waits"
"""The next generation leaves it out, and may have its vectors in files that it shares with the previous one."""

_DUE = "due"
"""The live generation has its vectors in its files. The next one does not, and is kept alone."""

_CLIPS_PER_QUERY = 1024
"""Clips that one query asks for."""

ITEMS = {"clips": clips, "captions": captions}
"""The table that lists the items of a gallery."""


class PublicationWriter:
    """See the module. `indexer.catalog.writer.CatalogWriter` is one."""

    engine: Engine
    levels: tuple[LevelSpec, ...]

    def live_ids(self, kind: str, published: Ids | None = None) -> Ids:
        """Ids, ascending, of everything that the next generation must hold.

        published  what the live one holds: then the catalogue is asked for what has changed since, and lists all of its
                   ids only if their number or their sum says that there is more to it
        """
        table = ITEMS[kind].name
        with self.engine.connect() as connection, closing(connection.connection.cursor()) as raw:

            def listed(query: str) -> Ids:
                # Straight from the driver: a million in a quarter of a second.
                raw.execute(query)
                return np.array(raw.fetchall(), dtype=np.int64).reshape(-1)

            if published is not None:
                removed = listed(f"select id from {table} where removed is not null")
                waiting = listed(f"select item_id from staged where kind = '{kind}'")
                ids = merged(published, np.setdiff1d(waiting, published, assume_unique=True))
                ids = np.setdiff1d(ids, removed, assume_unique=True)
                count, total = listed(f"select count(*), coalesce(sum(id), 0) from {table} where removed is null")
                if (count, total) == (len(ids), ids.sum()):
                    return ids
            return listed(f"select id from {table} where removed is null order by id")

    def staged_rows(self, kind: str) -> RowSource:
        """Items whose vectors no generation holds yet."""
        return staged_rows(self.engine, kind, self.levels)

    def stage_again(self, kind: str, rows: Rows) -> None:
        """Have the vectors of items that no generation holds any more wait for the next one."""
        ids, vectors = rows
        frames = FRAMES in vectors
        own = [{name: column[place] for name, column in vectors.items()} for place in range(len(ids))]
        packed = [(item, pack(self.levels, row, frames)) for item, row in zip(ids.tolist(), own, strict=True)]
        with self.engine.begin() as connection:
            stage(connection, kind, packed)

    def clip_columns(self, ids: Ids) -> dict[str, npt.NDArray[Any]]:
        """Of these clips, ascending, all known: `video`, `start` and `end`."""
        rows = []
        query = select(clips.c.video_id, clips.c.start, clips.c.end).order_by(clips.c.id)
        with self.engine.connect() as connection:
            for first in range(0, len(ids), _CLIPS_PER_QUERY):
                some = ids[first : first + _CLIPS_PER_QUERY].tolist()
                rows += [tuple(row) for row in connection.execute(query.where(clips.c.id.in_(some)))]
        columns = np.array(rows, dtype=[("video", "i8"), ("start", "f8"), ("end", "f8")])
        return {name: columns[name] for name in ("video", "start", "end")}

    @property
    def erases(self) -> bool:
        """Whether the next generation must be without a trace of what was removed, and the previous one has to go."""
        with self.engine.connect() as connection:
            return fact(connection, ERASE) == _DUE

    def erase_with_next(self) -> None:
        """Have the next generation already be without a trace of what was removed."""
        with self.engine.begin() as connection:
            if fact(connection, ERASE) is not None:
                set_fact(connection, ERASE, _DUE)

    def announce(self, number: int, stamp: str, manifest: str) -> None:
        """Note a generation that is complete on disk, before it goes live."""
        with self.engine.begin() as connection:
            connection.execute(delete(generations).where(generations.c.number == number))
            values = {"number": number, "stamp": stamp, "manifest": manifest, "settled": False}
            connection.execute(insert(generations).values(values))

    def leaving(self, kind: str, before: int) -> list[int]:
        """Ids of removed items that neither generation `before` nor a later one has."""
        table = ITEMS[kind]
        with self.engine.connect() as connection:
            return list(connection.scalars(select(table.c.id).where(table.c.removed <= before)))

    def generation_before(self, number: int) -> int:
        """The number of the latest generation before another that the catalogue knows; 0: there is none."""
        with self.engine.connect() as connection:
            known = select(func.max(generations.c.number)).where(generations.c.number < number)
            return connection.scalars(known).one() or 0

    def staying(self, number: int, before: int) -> set[int]:
        """Numbers of the generations that stay when `number` goes live in the place of `before`.

        The previous one stays for whoever still reads it, unless it holds what was removed on purpose.
        """
        others = {before, self._kept(number, before)}
        return {number} if self.erases else {number} | {other for other in others if other is not None}

    def _kept(self, number: int, before: int) -> int | None:
        """The generation of the previous model, to which the library can be changed back.

        None: there is none, or it has to go, since something was removed on purpose that it holds.
        """
        with self.engine.connect() as connection:
            if fact(connection, ERASE) is not None:
                return None
            models = {
                row.number: json.loads(row.manifest)["model"]["fingerprint"]
                for row in connection.execute(select(generations).where(generations.c.number.in_({number, before})))
            }
            if before in models and number in models and models[before] != models[number]:
                return before
            known = fact(connection, MODEL_BEFORE)
            return None if known is None else int(known)

    def finish_generation(
        self,
        number: int,
        before: int,
        held: Mapping[str, Collection[int]] | None = None,
        left: bool = False,
    ) -> None:
        """After generation `number` has gone live: drop staged vectors, and items that the previous one lacked too.

        before  the number of the generation that was live until then
        left    whether its files hold rows of items that were removed
        held    the ids that it holds, if more may have been staged and removed since. None: it has all that is staged
        """
        kept, staying = self._kept(number, before), self.staying(number, before)
        with self.engine.begin() as connection:
            if held is None:
                connection.execute(delete(staged))
            for kind, ids in (held or {}).items():
                waiting = set(connection.scalars(select(staged.c.item_id).where(staged.c.kind == kind)))
                for item in waiting & set(ids):
                    connection.execute(delete(staged).where(staged.c.kind == kind, staged.c.item_id == item))
            leaving = set(connection.scalars(select(clips.c.video_id).where(clips.c.removed <= before)))
            for table in ITEMS.values():
                connection.execute(delete(table).where(table.c.removed <= before))
            for video_id in leaving:
                kept_clips = exists().where(clips.c.video_id == videos.c.id)
                connection.execute(delete(videos).where(videos.c.id == video_id, ~kept_clips))
            connection.execute(update(generations).where(generations.c.number == number).values(settled=True))
            erase = fact(connection, ERASE)
            connection.execute(delete(generations).where(generations.c.number.not_in(staying)))
            keep_generation(connection, kept)
            manifest = select(generations.c.manifest).where(generations.c.number == number)
            finish_change(connection, connection.scalars(manifest).one_or_none())
            if erase is not None:
                scrub_word_index(connection)
                set_fact(connection, ERASE, _DUE if left else None if held is None else erase)

    def forget_other_models(self) -> None:
        """Drop a change of the model that is under way, and the way back to the previous model."""
        with self.engine.begin() as connection:
            known = fact(connection, MODEL_BEFORE)
            forget_change(connection)
            keep_generation(connection, None)
            if known is not None:
                connection.execute(delete(generations).where(generations.c.number == int(known)))

    def skip_ids(self, used: Mapping[str, int]) -> None:
        """Never give ids up to these, per gallery: an index that the catalogue does not know has used them."""
        with self.engine.begin() as connection:
            for kind, largest in used.items():
                if self.engine.dialect.name == "sqlite":
                    name = {"name": kind, "largest": largest}
                    connection.execute(
                        text(
                            "INSERT INTO sqlite_sequence SELECT :name, 0 WHERE NOT EXISTS "
                            "(SELECT 1 FROM sqlite_sequence WHERE name = :name)"
                        ),
                        name,
                    )
                    connection.execute(
                        text("UPDATE sqlite_sequence SET seq = max(seq, :largest) WHERE name = :name"), name
                    )
                else:
                    sequence = f"pg_get_serial_sequence('{kind}', 'id')"
                    connection.execute(
                        text(f"SELECT setval({sequence}, greatest(nextval({sequence}), :largest))"),
                        {"largest": largest},
                    )


def mark_erased(connection: Connection) -> None:
    """Have the generation after the next one be without a trace of what is removed in this transaction."""
    if fact(connection, ERASE) is None:
        set_fact(connection, ERASE, _WAITS)
