"""The engine: one library, one encoder, and the workers that answer questions with them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_pool import Part
from indexer.search.exact.code_scan import prepare
from indexer.store.library import Library
from indexer.store.manifest import ModelInfo
from indexer.store.served_generation import ServedGeneration
from model.encoder import EncoderSpec
from model.levels import LevelSpec, Vectors
from quartet.errors import LibraryError
from quartet.schemas.search_answers import CaptionAnswer, ClipAnswer, SimilarAnswer
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.fair_line import Job
from service.encoders.model_choice import query_encoder
from service.encoders.shared_encoder import SharedEncoder
from service.encoders.worker_pool import WorkerPool
from service.observe.engine_metrics import report
from service.observe.metrics import Metrics
from service.problems import OVERDUE, ProblemError
from service.search.decodings import Decodings
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
from service.search.served_model import AnyEncoder, Asked, ServedModel, by_model
from service.settings import Settings

LOG = logging.getLogger(__name__)

Load = Callable[[Settings, ModelInfo | None], AnyEncoder]
"""Loads the encoder for queries: that of the settings, or the one that made a generation."""

API = "/v1"
"""What the paths of the API begin with."""

_CLIP_COST = 16
"""Of encoding a clip, in units of a short sentence."""


class Engine:
    """See the module. Raises FingerprintError when the encoder is not the one that built the library."""

    def __init__(
        self,
        library: Library,
        encoder: AnyEncoder,
        settings: Settings,
        load: Load = query_encoder,
        address: str = API,
        decodings: Decodings | None = None,
    ) -> None:
        """`load` gives the encoder of a model that another process changes the library to.

        address    what the paths of the library begin with, for the addresses in answers
        decodings  those of the whole service, where it has several engines
        """
        self.library = library
        self.address = address
        self.metrics = Metrics()
        self._settings, self._load = settings, load
        self._held: ContextVar[ServedModel | None] = ContextVar("held model", default=None)
        first = self._served(encoder, library.served())
        self._first = first.spec.fingerprint
        self._tell_model: Callable[[], None] = lambda: None
        self.live = LiveGeneration(library, first, self._loaded, settings.reload_interval, self._changed)
        self._pool = WorkerPool(
            {
                "questions": by_model(lambda model, asked: model.clips.questions(asked)),
                "uploads": by_model(lambda model, asked: model.clips.uploads(asked)),
                "texts": by_model(lambda model, asked: model.clips.parts.encoded(asked)),
                "similar": by_model(lambda model, asked: model.rest.similar(asked)),
                "captions": by_model(lambda model, asked: model.rest.captions(asked)),
                "frames": by_model(lambda model, asked: model.rest.frames(asked)),
            },
            workers=settings.workers,
            max_batch=settings.batch_size,
            max_waiting=settings.queue_size,
            retry_after=settings.retry_after,
            observer=self.metrics,
        )
        self._batch, self._patience = settings.batch_size, settings.request_timeout
        self.decodings = decodings or Decodings(settings.max_decodings, settings.retry_after)
        self._tell_model = report(self)

    def _served(self, encoder: AnyEncoder, generation: ServedGeneration) -> ServedModel:
        kept, restarted = self._settings.query_cache, self.metrics.worker_restarted
        return ServedModel(self.library, encoder, generation, kept, self.address, restarted)

    def _loaded(self, generation: ServedGeneration) -> ServedModel:
        """The model that has made a generation, ready to answer."""
        # Only the settings may know where that is with which the service began.
        back = generation.model.fingerprint == self._first and self._settings.model
        with ExitStack() as on_failure:
            encoder = self._load(self._settings, None if back else generation.model)
            if isinstance(encoder, EncoderProcesses):
                on_failure.callback(encoder.close)
            model = self._served(encoder, generation)
            model.clips.fits.of(generation)
            on_failure.pop_all()
        return model

    def _changed(self) -> None:
        self.metrics.reloaded()
        self._tell_model()

    @classmethod
    def open(
        cls,
        settings: Settings,
        encoder: AnyEncoder | None = None,
        load: Load = query_encoder,
        address: str = API,
        decodings: Decodings | None = None,
    ) -> Self:
        """Open the library of `settings`; without an `encoder`, `load` the model of `settings` too.

        `load` also gives the encoder of a model that another process changes the library to. `address`, `decodings`:
        as in the constructor.

        Raises LibraryError, ModelError or FingerprintError.
        """
        if settings.library is None:
            raise LibraryError("Name the library with --library or QUARTET_LIBRARY.")
        with ExitStack() as on_failure:
            from model.registry import resolve_device

            # What a GPU scans is in its memory, on the device that encodes.
            device = "cpu" if settings.device == "cpu" else resolve_device(settings.device)
            elsewhere = None
            if settings.milvus:
                from indexer.milvus.generations import MilvusStore

                elsewhere = MilvusStore.open(settings.library, settings.milvus, settings.token())
                on_failure.callback(elsewhere.close)
            library = on_failure.enter_context(Library.open(settings.library, device, settings.roots, elsewhere))
            built = None if settings.model else library.served().model
            used = load(settings, built) if encoder is None else encoder
            if isinstance(used, EncoderProcesses):
                on_failure.callback(used.close)
            engine = cls(library, used, settings, load, address, decodings)
            on_failure.pop_all()
        return engine

    def prepare(self) -> Self:
        """Do now what the first of many searches would wait for. Returns the engine."""
        generation = self.live.current()
        for gallery in (generation.clips, generation.captions):
            prepare(gallery)
        answerer = self.live.model.clips
        answerer.fits.of(generation)
        try:
            answerer.texts.of(generation)
        except Exception as error:  # the first question tries again, and is told what is wrong
            LOG.warning("How near texts have to be to a question is not known yet: %s", error)
        return self

    @property
    def spec(self) -> EncoderSpec:
        """That of the model that answers, or that `one_model` holds."""
        return (self._held.get() or self.live.model).spec

    @property
    def named_model(self) -> str | None:
        """The model that the settings name, as long as it is the one that answers."""
        return self._settings.model if self.live.model.spec.fingerprint == self._first else None

    @contextmanager
    def one_model(self) -> Iterator[ServedModel]:
        """What is asked meanwhile is answered by the same model, also while the library switches to another."""
        held = self._held.get()
        if held is not None:
            yield held
            return
        model = self.live.hold()
        token = self._held.set(model)
        try:
            yield model
        finally:
            self._held.reset(token)
            model.release()

    def levels(self) -> tuple[LevelSpec, ...]:
        """The levels of answers: those of the model and, where the library has texts, `words`."""
        texts = self.live.model.clips.texts.of(self.generation())
        return self.spec.levels if texts is None else (*self.spec.levels, texts.spec)

    @property
    def device(self) -> str:
        return self.encoder.device

    @property
    def encoder(self) -> SharedEncoder | EncoderProcesses:
        """That of the model that answers."""
        return self.live.model.encoder

    @property
    def encoders(self) -> int:
        """Processes of the model that run; 1 where it runs in this one."""
        return self.encoder.alive if isinstance(self.encoder, EncoderProcesses) else 1

    @property
    def encoder_pids(self) -> list[int]:
        """The ids of those processes, none where the model runs in this one."""
        return self.encoder.pids if isinstance(self.encoder, EncoderProcesses) else []

    @property
    def alive(self) -> bool:
        """Whether requests are taken: False after `close`."""
        return self._pool.alive

    @property
    def waiting(self) -> int:
        """Queries waiting for a worker."""
        return self._pool.waiting

    @property
    def cached(self) -> tuple[int, int]:
        """Encoded sentences that were found, and that had to be made, since the start."""
        recent = self.live.model.clips.parts.recent
        return recent.hits, recent.misses

    def close(self) -> None:
        """Stop the workers and close the library. Idempotent."""
        self._pool.close()  # first: batches in hand still need the encoder
        self.live.close()
        self.live.model.close()
        self.library.close()

    def generation(self) -> ServedGeneration:
        """The generation that answers."""
        return self.live.current()

    def refresh(self) -> None:
        """Take up a newer generation now rather than at the next look. Not for the event loop."""
        self.live.refresh()

    async def search_clips(
        self, asked: Sequence[str | Question], wanted: SearchOptions, client: str = ""
    ) -> list[ClipAnswer]:
        """Clips for sentences or whole questions, an answer for each.

        Several are answered in parts, each no more than a batch, by one generation: nobody waits for all of them.
        Raises NotFoundError, InputError, BusyError and ModelError.
        """
        with self.one_model() as model:
            self._check(wanted)
            questions = tuple(Question.of(one) if isinstance(one, str) else one for one in asked)
            if len(questions) == 1:
                (question,) = questions
                one: list[ClipAnswer] = await self._submit(
                    "questions", Questions(questions, wanted), cost_of(question), client
                )
                return one
            generation = model.current()
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
        with self.one_model() as model:
            count = model.spec.frames_per_clip
            sampled = await self.decodings.sampled(path, count, part if part is not None else Part())
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
        with self.one_model():
            self._check(wanted)
            answer: SimilarAnswer = await self._submit("similar", ClipQuery(clip_id, wanted), client=client)
        return answer

    async def describe_clip(self, clip_id: int, wanted: SearchOptions, client: str = "") -> CaptionAnswer:
        """Video to text, for a stored clip. Raises NotFoundError, InputError, BusyError, ModelError."""
        with self.one_model():
            self._check(wanted)
            answer: CaptionAnswer = await self._submit("captions", ClipQuery(clip_id, wanted), client=client)
        return answer

    async def describe_file(self, path: Path, wanted: SearchOptions, client: str = "") -> CaptionAnswer:
        """Video to text, for a file. Raises VideoError, InputError, BusyError, ModelError."""
        self._check(wanted)
        with self.one_model() as model:
            sampled = await self.decodings.sampled(path, model.spec.frames_per_clip)
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
        with self.one_model() as model:
            return await self._results([replace(job, payload=Asked(model, job.payload)) for job in jobs])

    async def _results(self, jobs: Sequence[Job]) -> list[Any]:
        waiting = [asyncio.wrap_future(future) for future in self._pool.submit_all(jobs)]
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.gather(*waiting)
        except TimeoutError:
            detail = f"The search took longer than {self._patience:g} s. Try again, with a smaller question."
            raise ProblemError(OVERDUE, detail, {"Retry-After": "5"}) from None
        finally:
            # Where the client has gone, or it took too long: what no worker has yet leaves the line.
            for one in waiting:
                one.cancel()
