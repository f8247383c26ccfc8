"""Decoding and encoding on a Ray cluster, as a Ray Data pipeline (https://docs.ray.io/en/latest/data/data.html).

    jobs, some to a block  ->  `ray_worker.Worker`, actors with a model each  ->  reports, as they come

Ray starts a worker again that has died and repeats the blocks it had. All reading and writing of the library stays in
this process.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import Outcome
from indexer.pipeline.outcome_ledger import Ledger
from indexer.pipeline.progress import Meter
from indexer.pipeline.ray_worker import JOB, REPORT, ClusterAttempts, Report, Worker
from model.encoder import Encoder
from quartet.errors import InputError, ModelError, QuartetError
from quartet.installation import install_command

if TYPE_CHECKING:
    from ray.data import Dataset

_BLOCK = 16
"""Most files of a block, the piece of work that Ray gives to a worker. At its end the worker's stages run empty."""

_MESSAGE_BYTES = 2**17
"""Bytes of reports that a worker sends together, about those of eight clips: each sending costs some hundredths of a
second, and what has not been sent yet is lost with the worker."""

_CONNECT_TIMEOUT = 10.0
"""Seconds for a cluster to take a connection."""

_BLOCKS_EACH = 4
"""Blocks per worker that a small run is divided into, so that all end at about the same time."""


class RayPipeline:
    """A `Pipeline` on the Ray cluster at `address`, until it is closed.

    address  `auto` (the cluster of this machine), `HOST:PORT`, `ray://HOST:PORT`, or `local`: a cluster of this machine
             alone, which is started now and ends with this object. If this process is in a cluster already, that one.
    load     gives the encoder; called on every machine, so it must be possible to pickle it
    workers  files that each worker of the cluster decodes at the same time
    gpus     of each worker if the cluster has some, such as 1, or 0.5 for two workers on each; 0: none is used. Without
             GPUs a worker has the cores for its stages

    Raises InputError if Ray is not installed, or if the cluster cannot be reached or has nothing to work with.
    """

    def __init__(
        self, address: str, load: Callable[[], Encoder], fingerprint: str, *, workers: int = 1, gpus: float = 1
    ) -> None:
        self._address = address
        self._workers = workers
        self._given = {"load": load, "fingerprint": fingerprint, "workers": workers}
        self._connected = _connect(address)
        try:
            import ray

            self._shares = shares(ray.nodes(), workers, gpus)
            self._attempts = ClusterAttempts()
        except BaseException:
            self.close()
            raise

    @property
    def lanes(self) -> Mapping[str, int]:
        return {"decode": self._shares.number * self._workers, "encode": self._shares.number}

    def outcomes(self, jobs: Sequence[Job], meter: Meter) -> Generator[Outcome, None, None]:
        from ray.exceptions import RayError

        ledger = Ledger()
        try:
            with closing(self._reports(jobs)) as reports:
                for report in reports:
                    outcome = checked_outcome(report)
                    for stage, seconds in (report.seconds or {}).items():
                        meter.add(stage, seconds)
                    if ledger.admits(outcome):
                        yield outcome
        except RayError as error:
            raise QuartetError(
                f"The Ray cluster {self._address} failed: {_last_line(error)}. Indexed videos are saved. Run "
                "the same command again to continue."
            ) from error

    def _reports(self, jobs: Sequence[Job]) -> Generator[Report, None, None]:
        for row in self._dataset(jobs).iter_rows():
            yield pickle.loads(row[REPORT])

    def _dataset(self, jobs: Sequence[Job]) -> Dataset:
        import ray.data
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current().copy()
        # A long film holds up nothing but the files of its block. Ids of clips are in the order in which files end.
        context.execution_options.preserve_order = False
        context.target_max_block_size = _MESSAGE_BYTES
        context.enable_progress_bars = False
        files = max(1, min(_BLOCK, len(jobs) // (_BLOCKS_EACH * self._shares.number)))
        with DataContext.current(context):
            rows = [{JOB: pickle.dumps(job)} for job in jobs]
            blocks = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // files))
            return blocks.map_batches(
                Worker,
                fn_constructor_kwargs={**self._given, "attempts": self._attempts},
                batch_size=None,
                compute=ActorPoolStrategy(
                    min_size=1, max_size=self._shares.number, initial_size=min(self._shares.number, blocks.num_blocks())
                ),
                num_cpus=self._shares.cpus,
                num_gpus=self._shares.gpus,
            )

    def close(self) -> None:
        """Leave the cluster, or end it if it was started here."""
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False


class Shares(NamedTuple):
    """How a cluster is divided: the number of workers, and what each has."""

    number: int
    cpus: int
    gpus: float


def shares(nodes: Sequence[Mapping[str, Any]], workers: int, gpus: float) -> Shares:
    """As many workers as the GPUs have room for, or as fit next to each other with a core per stage.

    nodes  as of `ray.nodes`; gpus: of each worker

    Raises InputError for a cluster without cores.
    """
    machines = [
        (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0) / gpus) if gpus else 0)
        for node in nodes
        if node["Alive"]
    ]
    with_gpus = [(cores, places) for cores, places in machines if places and cores]
    if with_gpus:
        most = max(max(1, cores // places) for cores, places in with_gpus)
        cpus = min(workers + 1, most)
        return Shares(sum(min(places, cores // cpus) for cores, places in with_gpus), cpus, gpus)
    most = max((cores for cores, _ in machines), default=0)
    if most == 0:
        raise InputError("The Ray cluster has no free CPU cores. Start it with --num-cpus, or add machines to it.")
    cpus = min(workers + 1, most)
    return Shares(sum(cores // cpus for cores, _ in machines), cpus, 0)


def _connect(address: str) -> bool:
    """Returns whether this call has connected the process, rather than found it in a cluster."""
    if address == "local":
        # Nothing of this project reports to anyone.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise InputError(f"Indexing on a cluster needs the extra `ray`. Run: {install_command('ray')}") from error
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It warns that its progress bars are off: this project shows its own.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    _require_answer(address)
    if ray.is_initialized():
        return False
    dashboard = False if address == "local" else None
    try:
        ray.init(address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"The Ray cluster at {address!r} cannot be reached: {_last_line(error)}. Start one with `ray "
            "start --head`, give the HOST:PORT that it prints, or use `local`."
        ) from error
    return True


def _require_answer(address: str) -> None:
    """Raises InputError if nobody listens at an address: Ray would try for minutes."""
    if address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("", "ray") or not host or not port:
            raise ValueError
    except ValueError:
        raise InputError(
            f"{address!r} is not the address of a Ray cluster. Give auto, local, HOST:PORT or ray://HOST:PORT."
        ) from None
    try:
        socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT).close()
    except OSError as error:
        raise InputError(
            f"Nothing answers at {address}: {error.strerror or error}. Give the HOST:PORT that `ray start "
            "--head` printed, and check that this machine can reach it."
        ) from error


def checked_outcome(report: Report) -> Outcome:
    if report.outcome is None:
        raise ModelError(report.problem)
    path = report.outcome.file.path
    if report.unseen and os.access(path, os.R_OK):
        raise InputError(
            f"The machine {report.machine} cannot read {path}, and this one can. Put the videos in a shared "
            "folder that every machine of the cluster can read under the same path."
        )
    return report.outcome


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
