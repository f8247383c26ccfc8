"""The engine: one library, one encoder, and the workers that answer questions with them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_pool import Part
from indexer.search.exact.code_scan import prepare
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from model.encoder import Encoder, EncoderSpec
from model.levels import LevelSpec, Vectors
from quartet import __version__
from quartet.errors import LibraryError, QuartetError
from quartet.schemas.search import CaptionAnswer, ClipAnswer, SimilarAnswer
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.fair_line import Job
from service.encoders.model_choice import query_encoder
from service.encoders.shared_encoder import SharedEncoder
from service.encoders.worker_pool import WorkerPool
from service.observe.metrics import Metrics, resident_bytes
from service.problems import OVERDUE, ProblemError
from service.search.batch_answers import BatchAnswerer
from service.search.clip_answers import ClipAnswerer
from service.search.decodings import Decodings
from service.search.kept_uploads import UploadedVectors
from service.search.live_generation import LiveGeneration
from service.search.ranking.text_level import checked_weights
from service.search.requests import (
    ClipQuery,
    FramesQuery,
    Question,
    Questions,
    SearchOptions,
    cost_of,
    cost_of_text,
    cut_by_cost,
)
from service.settings import Settings

LOG = logging.getLogger(__name__)

_CLIP_COST = 16
"""Of encoding a clip, in units of a short sentence."""


class Engine:
    """See the module. Raises FingerprintError when the encoder is not the one that built the library."""

    def __init__(self, library: Library, encoder: Encoder | EncoderProcesses, settings: Settings) -> None:
        library.check_encoder(encoder.spec)
        self.library = library
        self.metrics = Metrics()
        self._encoder = encoder if isinstance(encoder, EncoderProcesses) else SharedEncoder(encoder)
        if isinstance(encoder, EncoderProcesses):
            encoder.restarted = self.metrics.worker_restarted
        self.live = LiveGeneration(library, encoder.spec, settings.reload_interval, self.metrics.reloaded)
        self._answerer = BatchAnswerer(library, self._encoder, self.live, settings.query_cache)
        self.uploads = UploadedVectors()
        self._clips = ClipAnswerer(library, self._encoder, self.live, settings.query_cache)
        self.live.before = self._clips.fits.of
        self._pool = WorkerPool(
            {
                "questions": self._clips.questions,
                "uploads": self._clips.uploads,
                "texts": self._clips.parts.encoded,
                "similar": self._answerer.similar,
                "captions": self._answerer.captions,
                "frames": self._answerer.frames,
            },
            workers=settings.workers,
            max_batch=settings.batch_size,
            max_waiting=settings.queue_size,
            retry_after=settings.retry_after,
            observer=self.metrics,
        )
        self._batch, self._patience = settings.batch_size, settings.request_timeout
        self.decodings = Decodings(settings.max_decodings, settings.retry_after)
        self._report()

    def _report(self) -> None:
        """Have the metrics say what the engine knows itself."""
        gauge, counter = self.metrics.gauge, self.metrics.counter
        gauge("quartet_queue_depth", "Queries that wait for a worker.", lambda: self.waiting)
        counter("quartet_query_cache_hits", "Encoded sentences that were found.", lambda: self.cached[0])
        counter("quartet_query_cache_misses", "Encoded sentences that had to be made.", lambda: self.cached[1])
        gauge("quartet_generation_age_seconds", "Since it was taken up.", lambda: self.live.age)
        counter("quartet_reload_failures", "Tries to open a newer generation that failed.", lambda: self.live.failures)
        gauge("quartet_encoders_alive", "Processes of the model that run.", lambda: self.encoders)
        gauge("quartet_decodings_running", "Uploads that are decoded now.", lambda: self.decodings.running)
        counter("quartet_decodings", "Uploads that were decoded.", lambda: self.decodings.done)
        counter("quartet_decoding_seconds", "Time that decoding uploads took.", lambda: self.decodings.seconds)
        gauge("quartet_resident_bytes", "Memory of each process.", self._memory, label="process")
        self.metrics.info("quartet_build", "The version of the service.", {"version": __version__})
        self.metrics.info(
            "quartet_model", "The model that answers.", {"name": self.spec.name, "fingerprint": self.spec.fingerprint}
        )
        gauge("quartet_index_items", "Searchable items.", self._items, label="gallery")
        gauge("quartet_generation", "Number of the generation that answers.", self._number)

    def _memory(self) -> dict[str, float]:
        found = {"service": resident_bytes(os.getpid())}
        found |= {f"encoder-{n}": resident_bytes(pid) for n, pid in enumerate(self.encoder_pids, 1)}
        return found

    def _items(self) -> dict[str, float]:
        try:
            generation = self.generation()
        except QuartetError:
            # Of another model's library nothing can be searched.
            return {"clips": 0, "captions": 0}
        return {"clips": len(generation.clips), "captions": len(generation.captions)}

    def _number(self) -> float | None:
        try:
            return int(self.generation().name)
        except QuartetError:
            return None

    @classmethod
    def open(
        cls,
        settings: Settings,
        encoder: Encoder | None = None,
        load: Callable[[Settings], Encoder | EncoderProcesses] = query_encoder,
    ) -> Self:
        """Open the library of `settings`; without an `encoder`, `load` the model of `settings` too.

        Raises LibraryError, ModelError or FingerprintError.
        """
        if settings.library is None:
            raise LibraryError("No library was named. Set QUARTET_LIBRARY or pass --library.")
        with ExitStack() as on_failure:
            from model.registry import resolve_device

            # What a GPU scans lies in its memory, on the device that encodes.
            device = "cpu" if settings.device == "cpu" else resolve_device(settings.device)
            elsewhere = None
            if settings.milvus:
                from indexer.milvus.generations import MilvusStore

                elsewhere = MilvusStore.open(settings.library, settings.milvus, settings.token())
                on_failure.callback(elsewhere.close)
            library = on_failure.enter_context(Library.open(settings.library, device, settings.roots, elsewhere))
            used = load(settings) if encoder is None else encoder
            if isinstance(used, EncoderProcesses):
                on_failure.callback(used.close)
            engine = cls(library, used, settings)
            on_failure.pop_all()
        return engine

    def prepare(self) -> Self:
        """Do now what the first of many searches would wait for. Returns the engine."""
        generation = self.live.current()
        for gallery in (generation.clips, generation.captions):
            prepare(gallery)
        self._clips.fits.of(generation)
        return self

    @property
    def spec(self) -> EncoderSpec:
        return self._encoder.spec

    def levels(self) -> tuple[LevelSpec, ...]:
        """The levels of answers: those of the model and, where the library has texts, `words`."""
        texts = self._clips.texts.of(self.generation())
        return self.spec.levels if texts is None else (*self.spec.levels, texts.spec)

    @property
    def device(self) -> str:
        return self._encoder.device

    @property
    def encoders(self) -> int:
        """Processes of the model that run; 1 where it runs in this one."""
        return self._encoder.alive if isinstance(self._encoder, EncoderProcesses) else 1

    @property
    def encoder_pids(self) -> list[int]:
        """The ids of those processes, none where the model runs in this one."""
        return self._encoder.pids if isinstance(self._encoder, EncoderProcesses) else []

    @property
    def alive(self) -> bool:
        """Whether requests are taken: False after `close`."""
        return self._pool.alive

    @property
    def waiting(self) -> int:
        """Queries that wait for a worker."""
        return self._pool.waiting

    @property
    def cached(self) -> tuple[int, int]:
        """Encoded sentences that were found, and that had to be made, since the start."""
        return self._clips.parts.recent.hits, self._clips.parts.recent.misses

    def close(self) -> None:
        """Stop the workers and close the library. Idempotent."""
        self._pool.close()  # first: batches in hand still need the encoder
        if isinstance(self._encoder, EncoderProcesses):
            self._encoder.close()
        self.live.close()
        self.library.close()

    def generation(self) -> ServedGeneration:
        """The generation that answers. Raises FingerprintError if another model has built the newest."""
        return self.live.current()

    def refresh(self) -> None:
        """Take up a newer generation now rather than at the next look. Not for the event loop."""
        try:
            self.live.refresh()
        except QuartetError as error:
            # The next look finds it again; until it can be opened, the one before answers.
            LOG.error("The newest generation cannot be opened. %s", error)

    async def search_clips(
        self, asked: Sequence[str | Question], wanted: SearchOptions, client: str = ""
    ) -> list[ClipAnswer]:
        """Clips for sentences or whole questions, an answer for each.

        Several are answered in parts, each no more than a batch, by one generation: nobody waits for all of them.
        Raises NotFoundError, InputError, BusyError and ModelError.
        """
        self._check(wanted)
        questions = tuple(Question.of(one) if isinstance(one, str) else one for one in asked)
        if len(questions) == 1:
            (question,) = questions
            one: list[ClipAnswer] = await self._submit(
                "questions", Questions(questions, wanted), cost_of(question), client
            )
            return one
        generation = self.live.current()
        jobs = [
            Job(
                "questions",
                Questions(part, wanted, generation),
                sum(map(cost_of, part)),
                len(part),
                client,
                lane="list",
                group=generation.name,
            )
            for part in cut_by_cost(questions, self._batch)
        ]
        return [answer for answers in await self._submit_all(jobs) for answer in answers]

    async def encode_upload(
        self, path: Path, part: Part | None = None, client: str = ""
    ) -> tuple[Vectors, SampledClip]:
        """A picture, a video or a part of one to search with: its gallery vectors and what was decoded.

        Raises VideoError, InputError, BusyError, ModelError.
        """
        sampled = await self.decodings.sampled(path, self.spec.frames_per_clip, part if part is not None else Part())
        vectors: Vectors = await self._submit("uploads", sampled.frames, _CLIP_COST, client)
        return vectors, sampled

    async def encode_texts(self, texts: Sequence[str], client: str = "") -> list[Vectors]:
        """Query vectors of texts, {level: (1, d_l)} each. Raises BusyError, ModelError."""
        size = max(1, self._batch // 2)
        parts = [tuple(texts[start : start + size]) for start in range(0, len(texts), size)]
        jobs = [Job("texts", part, sum(map(cost_of_text, part)), len(part), client, lane="list") for part in parts]
        return [vectors for found in await self._submit_all(jobs) for vectors in found]

    async def similar_clips(self, clip_id: int, wanted: SearchOptions, client: str = "") -> SimilarAnswer:
        """Video to video, for a stored clip. Raises NotFoundError, InputError, BusyError, ModelError."""
        self._check(wanted)
        answer: SimilarAnswer = await self._submit("similar", ClipQuery(clip_id, wanted), client=client)
        return answer

    async def describe_clip(self, clip_id: int, wanted: SearchOptions, client: str = "") -> CaptionAnswer:
        """Video to text, for a stored clip. Raises NotFoundError, InputError, BusyError, ModelError."""
        self._check(wanted)
        answer: CaptionAnswer = await self._submit("captions", ClipQuery(clip_id, wanted), client=client)
        return answer

    async def describe_file(self, path: Path, wanted: SearchOptions, client: str = "") -> CaptionAnswer:
        """Video to text, for a file. Raises VideoError, InputError, BusyError, ModelError."""
        self._check(wanted)
        sampled = await self.decodings.sampled(path, self.spec.frames_per_clip)
        decoded = time.perf_counter()
        asked = FramesQuery(sampled.frames, replace(wanted, asked=decoded))
        answer: CaptionAnswer = await self._submit("frames", asked, _CLIP_COST, client)
        answer.took_ms.encode = round(answer.took_ms.encode + 1000 * (decoded - wanted.asked), 3)
        return answer

    def _check(self, wanted: SearchOptions) -> None:
        """Refuse weights that make no score before any work is done."""
        checked_weights(self.spec.levels, wanted.weights)

    async def _submit(self, kind: str, payload: Any, cost: int = 1, client: str = "") -> Any:
        (result,) = await self._submit_all([Job(kind, payload, cost, client=client)])
        return result

    async def _submit_all(self, jobs: Sequence[Job]) -> list[Any]:
        """The results of jobs of one client. An error of one gives up the others."""
        waiting = [asyncio.wrap_future(future) for future in self._pool.submit_all(jobs)]
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.gather(*waiting)
        except TimeoutError:
            detail = f"The search took more than {self._patience:g} s. Ask again, for less at a time."
            raise ProblemError(OVERDUE, detail, {"Retry-After": "5"}) from None
        finally:
            # Where the client has gone, or it took too long: what no worker has yet leaves the line.
            for one in waiting:
                one.cancel()
