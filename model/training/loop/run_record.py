"""The folder of a training run: what it was begun with, and the metrics once it is finished, in RUN/run.json."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.evaluation.metrics import Measures, Retrieval
from model.training.data.atomic_files import write_json
from quartet.errors import InputError

History = list[dict[str, Retrieval]]
"""Validation metrics of every epoch: of the fused score ("fused") and of each level alone."""


def kept_epoch(history: Sequence[Mapping[str, Retrieval]], keep: str) -> int:
    """The number, from 0, of the epoch whose weights a run keeps: the "last", or the first with the "best" SumR."""
    sums = [epoch["fused"].sum_r for epoch in history]
    return len(sums) - 1 if keep == "last" else max(range(len(sums)), key=sums.__getitem__)


LAST, METRICS = "last.ckpt", "metrics.csv"
_RUN = "run.json"


class Run:
    """The folder of one training run, and the arguments that it was begun with.

    `fresh` takes no notice of an earlier run, which is deleted when this one begins; `writes`: whether this process may
    change the folder.

    Raises InputError if its run.json cannot be read.
    """

    def __init__(self, folder: Path, fresh: bool = False, writes: bool = True) -> None:
        self.folder, self._fresh, self._writes = folder, fresh, writes
        self._arguments: dict[str, Any] = {}
        self.history: History | None = None
        """The metrics of a finished run, else None."""
        if (folder / _RUN).exists() and not fresh:
            try:
                data = json.loads((folder / _RUN).read_text(encoding="utf-8"))
                self._arguments = dict(data["arguments"])
                self.history = None if data["history"] is None else history_from_json(data["history"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{folder / _RUN} is damaged ({error}). Start from the beginning with --fresh, or choose "
                    "another --out."
                ) from error
        self.begun = bool(self._arguments)
        """Whether a run had begun here before this one."""

    def agree(self, arguments: Mapping[str, Any]) -> None:
        """Check that these are the arguments that the run was begun with, or take them for those of a new run.

        Raises InputError that names every argument that differs.
        """
        given = json.loads(json.dumps(arguments))
        differing = [name for name in given if name in self._arguments and self._arguments[name] != given[name]]
        if differing:
            differences = "; ".join(_difference(name, self._arguments[name], given[name]) for name in differing)
            raise InputError(
                f"{self.folder.parent} was started with other arguments: {differences}. Use the same arguments, "
                "choose another --out, or start from the beginning with --fresh."
            )
        self._arguments |= given

    def begin(self) -> None:
        """Bind the folder to the arguments. Not before: what could not even begin should not be in the way."""
        if self._fresh and self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._write()

    def finish(self, history: History) -> None:
        """Keep the metrics; the states that a finished run no longer needs are deleted."""
        self.history = history
        self._write()
        for path in (*best_weights(self.folder), self.folder / LAST):
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._writes:
            history = None if self.history is None else history_to_json(self.history)
            write_json(self.folder / _RUN, {"arguments": self._arguments, "history": history})


def _difference(name: str, was: Any, now: Any) -> str:
    known, given = ("given" if str(value).startswith("sha256:") else value for value in (was, now))
    return f"the content of the {name} has changed" if known == given else f"{name} was {known}, not {given}"


def history_to_json(history: History) -> list[dict[str, Any]]:
    return [{name: result.to_json() for name, result in epoch.items()} for epoch in history]


def history_from_json(data: list[dict[str, Any]]) -> History:
    return [
        {
            name: Retrieval(Measures(**result["text_to_video"]), Measures(**result["video_to_text"]))
            for name, result in epoch.items()
        }
        for epoch in data
    ]


def best_weights(folder: Path) -> Iterator[Path]:
    """The weights that a run has kept as its best; more than one after a kill in the wrong moment."""
    return folder.glob("best-*.pt")
