"""What runs on the machines of a Ray cluster: the local pipeline, on a few files at a time.

Frames never leave the machine that has decoded them; what travels is the state of a file there and its vectors back.
"""

from __future__ import annotations

import os
import pickle
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import Outcome, Part, Refused
from indexer.pipeline.local_pipeline import LocalPipeline
from indexer.pipeline.progress import Meter
from model.encoder import Encoder
from quartet.errors import ModelError, QuartetError, VideoError

JOB, REPORT = "job", "report"
"""The columns that go in and come out, of pickled `Job` and `Report`."""

MAX_TRIES = 3
"""Times that a worker may die with a file, which is alone with it from the second time on. Then the file is refused."""


@dataclass(frozen=True)
class Report:
    """An outcome, or why the machine can give none.

    machine   its name
    unseen    a file was refused that this machine cannot open
    problem   a sentence; there is no outcome then
    seconds   of work since the report before, by stage
    """

    machine: str
    outcome: Outcome | None = None
    unseen: bool = False
    problem: str = ""
    seconds: Mapping[str, float] | None = None


class Attempts(Protocol):
    """Counts how often a file was begun since it was last brought to its end. All workers ask the same."""

    def begun(self, paths: Sequence[Path]) -> dict[Path, int]: ...

    def begin(self, paths: Sequence[Path]) -> None: ...

    def end(self, path: Path) -> None: ...


class AttemptCounts:
    """`Attempts` of one process."""

    def __init__(self) -> None:
        self._begun: Counter[Path] = Counter()

    def begun(self, paths: Sequence[Path]) -> dict[Path, int]:
        return {path: self._begun[path] for path in paths}

    def begin(self, paths: Sequence[Path]) -> None:
        self._begun.update(paths)

    def end(self, path: Path) -> None:
        del self._begun[path]


class ClusterAttempts:
    """`Attempts` of a cluster: a Ray actor keeps `AttemptCounts` and reserves no core."""

    def __init__(self) -> None:
        import ray

        # With its machine the counts are lost, and the calls wait for it on another.
        remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        self._actor: Any = remote(AttemptCounts).remote()

    def begun(self, paths: Sequence[Path]) -> dict[Path, int]:
        import ray

        found: dict[Path, int] = ray.get(self._actor.begun.remote(list(paths)))
        return found

    def begin(self, paths: Sequence[Path]) -> None:
        import ray

        # Noted before a file can kill the worker.
        ray.get(self._actor.begin.remote(list(paths)))

    def end(self, path: Path) -> None:
        self._actor.end.remote(path)


class Worker:
    """One process of the cluster with a model of its own. Ray makes it, and calls it with batches of jobs.

    load         gives the encoder; it must be the one with `fingerprint`
    workers      files that are decoded at the same time
    attempts     counts how often workers died with a file
    """

    def __init__(self, load: Callable[[], Encoder], fingerprint: str, workers: int, attempts: Attempts) -> None:
        self._machine = platform.node()
        self._attempts = attempts
        self._problem = ""
        try:
            encoder = load()
            if encoder.spec.fingerprint != fingerprint:
                raise ModelError(f"it has the fingerprint {encoder.spec.fingerprint} here, not {fingerprint}")
            self._pipeline = LocalPipeline(encoder, workers)
        except QuartetError as error:
            # Ray would start a worker that fails here again and again, and bury the reason in a log.
            self._problem = f"The machine {self._machine} cannot load the model: {error}"

    def __call__(self, batch: Mapping[str, Sequence[bytes]]) -> Iterator[dict[str, list[bytes]]]:
        """Reports as they come, a row each."""
        if self._problem:
            yield self._row(Report(self._machine, problem=self._problem))
            return
        jobs: list[Job] = [pickle.loads(each) for each in batch[JOB]]
        tried = self._attempts.begun([job.file.path for job in jobs])
        # In the order of the jobs, whoever is suspected: Ray leaves out as many rows as have arrived before.
        for alone, group in groupby(jobs, lambda job: job.file.path if tried[job.file.path] else None):
            if alone is None or tried[alone] < MAX_TRIES:
                yield from self._work(list(group))
            else:
                yield from (self._row(Report(self._machine, _given_up(job))) for job in group)

    def _work(self, jobs: Sequence[Job]) -> Iterator[dict[str, list[bytes]]]:
        self._attempts.begin([job.file.path for job in jobs])
        meter = Meter(self._pipeline.lanes)
        reported = dict.fromkeys(self._pipeline.lanes, 0.0)
        with closing(self._pipeline.outcomes(jobs, meter)) as outcomes:
            for outcome in outcomes:
                worked = {stage: meter.worked(stage) for stage in reported}
                seconds = {stage: worked[stage] - reported[stage] for stage in reported}
                unseen = isinstance(outcome, Refused) and not os.access(outcome.file.path, os.R_OK)
                if not isinstance(outcome, Part):
                    self._attempts.end(outcome.file.path)
                yield self._row(Report(self._machine, outcome, unseen, seconds=seconds))
                reported = worked

    @staticmethod
    def _row(report: Report) -> dict[str, list[bytes]]:
        return {REPORT: [pickle.dumps(report)]}


def _given_up(job: Job) -> Refused:
    detail = f"Its worker died {MAX_TRIES} times while it read this file, perhaps for want of memory."
    return Refused(job.file, VideoError(job.file.path, "unreadable", detail))
