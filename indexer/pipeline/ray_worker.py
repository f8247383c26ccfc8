"""What runs on the machines of a Ray cluster: the local pipeline, on a few files at a time.

Frames never leave the machine that has decoded them; what travels is the state of a file there and its vectors back.
"""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import Outcome, Refused
from indexer.pipeline.local_pipeline import LocalPipeline
from indexer.pipeline.progress import Meter
from model.encoder import Encoder
from quartet.errors import ModelError, QuartetError

JOB, REPORT = "job", "report"
"""The columns that go in and come out, of pickled `Job` and `Report`."""


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


class Worker:
    """One process of the cluster with a model of its own. Ray makes it, and calls it with batches of jobs.

    load         gives the encoder; it must be the one with `fingerprint`
    workers      files that are decoded at the same time
    """

    def __init__(self, load: Callable[[], Encoder], fingerprint: str, workers: int) -> None:
        self._machine = platform.node()
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
        meter = Meter(self._pipeline.lanes)
        reported = dict.fromkeys(self._pipeline.lanes, 0.0)
        with closing(self._pipeline.outcomes(jobs, meter)) as outcomes:
            for outcome in outcomes:
                worked = {stage: meter.worked(stage) for stage in reported}
                seconds = {stage: worked[stage] - reported[stage] for stage in reported}
                unseen = isinstance(outcome, Refused) and not os.access(outcome.file.path, os.R_OK)
                yield self._row(Report(self._machine, outcome, unseen, seconds=seconds))
                reported = worked

    @staticmethod
    def _row(report: Report) -> dict[str, list[bytes]]:
        return {REPORT: [pickle.dumps(report)]}
