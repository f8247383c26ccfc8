"""What is to be done with files, and who does it: the seam between a run and the machines that it uses."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from indexer.catalog.records import FileState
from indexer.media.segmentation import Segmentation
from indexer.pipeline.file_outcomes import Cut, Outcome
from indexer.pipeline.progress import Meter


@dataclass(frozen=True)
class Job:
    """A file to deal with, and all that has to be known of the library for it: it can be done on any machine.

    segmentation  how it is divided, if it is
    known         contents (SHA-256) with which it needs no clips: the library has them
    kept          by content, how many clips an earlier run has encoded
    """

    file: FileState
    segmentation: Segmentation
    known: frozenset[str] = frozenset()
    kept: Mapping[str, int] = field(default_factory=dict)

    def cut(self, sha256: str) -> Cut | None:
        """How to make clips of the file now that its content is known; None if the library has it."""
        return None if sha256 in self.known else Cut(self.segmentation, self.kept.get(sha256, 0))


class Pipeline(Protocol):
    """Decodes and encodes files: here (`local_pipeline.py`) or on a cluster (`ray_pipeline.py`)."""

    @property
    def lanes(self) -> Mapping[str, int]:
        """How many work at a time, by stage."""
        ...

    def outcomes(self, jobs: Sequence[Job], meter: Meter) -> Generator[Outcome, None, None]:
        """What has become of the file of each job, in that order: perhaps parts, and one of the others.

        A file that was read on two machines, and changed in between, may be missing or have parts alone: it is for
        another try. Closing the generator early stops all work. An error of the encoder is raised here.
        """
        ...

    def close(self) -> None:
        """End the processes that it has started."""
        ...
