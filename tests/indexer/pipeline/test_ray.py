"""Indexing on a Ray cluster: one of this machine, with two workers, one of which dies."""

from __future__ import annotations

import gc
import json
import pickle
import secrets
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demo.video import write_videos
from indexer.catalog.records import FileState
from indexer.ingest.index_run import IndexReport, index_videos
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import Outcome, Refused
from indexer.pipeline.local_pipeline import LocalPipeline
from indexer.pipeline.progress import Meter, Progress
from indexer.pipeline.ray_pipeline import RayPipeline, checked_outcome, shares
from indexer.pipeline.ray_worker import JOB, MAX_TRIES, REPORT, AttemptCounts, Report, Worker
from indexer.store.layout import strip_path, thumbnail_path
from indexer.store.library import Library
from model.encoder import Encoder
from model.fake_encoder import FakeEncoder
from model.registry import load_encoder
from quartet.errors import InputError, ModelError
from service.cli import app
from tests.indexer.pipeline.ray_encoders import killed_in_a_long_file, killed_once

# What Ray says of its own settings when it makes them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

MakeVideo = Callable[..., Path]
Load = Callable[[], Encoder]
ROOT = Path(__file__).parents[3]
_TOKEN = secrets.token_hex()
"""Ray reads it once in a process, whichever module of tests comes first."""


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[None]:
    """A token of its own, or Ray puts one into the home folder. It looks for it when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", _TOKEN)
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def cluster(token: None) -> Iterator[None]:
    """A Ray with four cores to count on: two workers, each with one core to decode and one to encode."""
    ray = pytest.importorskip("ray")
    start_ray()
    yield
    ray.shutdown()


def start_ray() -> None:
    """Start Ray, or fail here and nowhere else.

    A start that fails leaves processes with Python objects, which complain of each other when they are collected: in
    the middle of some later test, unless that is done here.
    """
    import ray

    failure = ""
    try:
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        failure = f"Ray did not start: {error}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            ray.shutdown()
            traceback.clear_frames(error.__traceback__)
            gc.collect()
    if failure:
        pytest.fail(failure)


def test_a_ray_that_does_not_start_fails_no_other_test(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    ended = []

    def init(*args: object, **options: object) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        assert process.stdin is not None
        ended.append(process.stdin)
        raise RuntimeError("no memory")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(pytest.fail.Exception, match="Ray did not start: no memory"):
        start_ray()
    ended.pop().close()
    gc.collect()  # a process that is left would complain now: a warning is an error


def on_ray(library: Path, videos: Path, load: Load, encoder: Encoder, **options: object) -> IndexReport:
    with closing(RayPipeline("local", load, encoder.spec.fingerprint)) as pipeline:
        assert pipeline.lanes == {"decode": 2, "encode": 2}
        return index_videos(library, [videos], encoder, pipeline=pipeline, **options)  # type: ignore[arg-type]


def contents(path: Path) -> dict[str, object]:
    """Everything that a reader can ask of a library, less the ids, which are in the order in which files ended."""
    with Library.open(path) as library:
        clips = sorted(library.catalog.list_clips(limit=None), key=lambda clip: (clip.path, clip.start))
        ids = [clip.id for clip in clips]
        return {
            "clips": [replace(clip, id=0, video_id=0) for clip in clips],
            "videos": sorted((replace(video, id=0) for video in library.catalog.list_videos(limit=None)), key=repr),
            "failures": library.catalog.failures(),
            "vectors": [rows.tobytes() for clip in ids for rows in library.current().clips.vectors([clip]).values()],
            "pictures": [thumbnail_path(path, clip).read_bytes() for clip in ids],
            "strips": [strip_path(path, clip).read_bytes() for clip in ids],
        }


def test_a_killed_worker_leaves_no_trace_in_the_library(tmp_path: Path, cluster: None) -> None:
    videos, mark = tmp_path / "videos", tmp_path / "killed"
    for _ in write_videos(tmp_path, "test", 12, seed=5, workers=1):
        pass
    encoder = load_encoder("demo", "cpu")
    report = on_ray(tmp_path / "ray", videos, partial(killed_once, "demo", mark, 3), encoder)
    assert mark.exists()
    assert (report.indexed, report.refused) == (12, [])
    index_videos(tmp_path / "here", [videos], encoder)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")


def test_a_worker_that_dies_in_a_long_file_and_files_that_cannot_be_used(
    tmp_path: Path,
    cluster: None,
    videos: Path,
    make_video: MakeVideo,
    colours: Sequence[tuple[int, int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each report is sent by itself, so that parts have arrived when the worker dies.
    monkeypatch.setattr("indexer.pipeline.ray_pipeline._MESSAGE_BYTES", 1)
    make_video(videos / "b-long.mp4", [colour for colour in colours[:12] for _ in range(2)])
    (videos / "c-bad.mp4").write_bytes(b"")
    (videos / "d-cut.mp4").write_bytes((videos / "a.mp4").read_bytes()[:300])
    cut = Segmentation("window", window=0.2, overlap=0.0)
    mark, encoder = tmp_path / "killed", FakeEncoder()
    report = on_ray(tmp_path / "ray", videos, partial(killed_in_a_long_file, mark), encoder, segmentation=cut)
    assert mark.exists()
    assert (report.indexed, len(report.refused)) == (6, 2)
    assert report.progress.busy["decode"] > 0
    index_videos(tmp_path / "here", [videos], encoder, segmentation=cut)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")


def test_what_is_finished_is_kept(tmp_path: Path, cluster: None, videos: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.clips == 2:
            raise KeyboardInterrupt

    library, encoder = tmp_path / "ray", FakeEncoder()
    assert on_ray(library, videos, FakeEncoder, encoder, on_progress=stop).interrupted
    with Library.open(library) as opened:
        (first, _) = opened.catalog.list_clips()
    first.path.rename(videos / "renamed.mp4")
    command = ["index", str(videos), "--library", str(library), "--model", "fake", "--ray", "auto", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["indexed"], report["moved"], report["clips_total"]) == (3, 1, 5)
    with Library.open(library) as opened:
        names = [clip.path.name for clip in opened.catalog.list_clips()]
    assert sorted(names) == sorted({"a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "renamed.mp4"} - {first.path.name})


def ask(load: Load, job: Job) -> list[Report]:
    worker = Worker(load, FakeEncoder().spec.fingerprint, 1, AttemptCounts())
    return [pickle.loads(row[REPORT][0]) for row in worker({JOB: [pickle.dumps(job)]})]


def test_a_file_that_a_machine_does_not_see_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "there.mp4"
    (report,) = ask(FakeEncoder, Job(FileState(path, 5, 0.0), WHOLE))
    assert report.unseen
    # Here it has gone too: it was deleted after it was listed.
    assert isinstance(checked_outcome(report), Refused)
    path.write_bytes(b"video")
    with pytest.raises(InputError, match=r"cannot read .*there\.mp4, and this one can.*under the same path"):
        checked_outcome(report)


class Died(BaseException):
    """In place of the end of a process."""


def test_a_file_that_always_kills_its_worker_is_refused(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbours are not, though they died with it the first time."""
    paths, attempts = sorted(videos.rglob("*.mp4")), AttemptCounts()
    jobs = [Job(FileState(path, path.stat().st_size, path.stat().st_mtime), WHOLE) for path in paths]
    decode = LocalPipeline.outcomes

    def outcomes(self: LocalPipeline, jobs: Sequence[Job], meter: Meter) -> Iterator[Outcome]:
        for outcome in decode(self, jobs, meter):
            if outcome.file.path == paths[2]:
                raise Died
            yield outcome

    monkeypatch.setattr(LocalPipeline, "outcomes", outcomes)
    rows: list[list[Report]] = []
    for _ in range(MAX_TRIES + 1):
        rows.append([])
        worker = Worker(FakeEncoder, FakeEncoder().spec.fingerprint, 1, attempts)
        try:
            for row in worker({JOB: [pickle.dumps(job) for job in jobs]}):
                rows[-1].append(pickle.loads(row[REPORT][0]))
        except Died:
            continue
    assert [len(each) for each in rows] == [2, 2, 2, 5]
    found = [report.outcome for report in rows[-1]]
    assert [outcome.file.path for outcome in found if outcome] == paths, "Ray counts what has arrived"
    assert [isinstance(outcome, Refused) for outcome in found] == [False, False, True, False, False]
    assert isinstance(found[2], Refused)
    assert "died 3 times while it read this file" in found[2].error.detail


def no_model() -> Encoder:
    raise ModelError("There is no model 'x'.")


@pytest.mark.parametrize(
    ("load", "why"), [(no_model, "There is no model 'x'"), (partial(FakeEncoder, 1), "fake-1-16 here, not fake-0-16")]
)
def test_a_machine_without_the_model_says_so(tmp_path: Path, load: Load, why: str) -> None:
    (report,) = ask(load, Job(FileState(tmp_path, 5, 0.0), WHOLE))
    with pytest.raises(ModelError, match=f"The machine .* cannot load the model: .*{why}"):
        checked_outcome(report)


def machine(alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": {name.upper(): amount for name, amount in resources.items()}}


@pytest.mark.parametrize(
    ("machines", "workers", "gpus", "expected"),
    [
        ([machine(cpu=2)], 1, 1, (1, 2, 0)),
        ([machine(cpu=1)], 1, 1, (1, 1, 0)),
        ([machine(cpu=16), machine(cpu=5), machine(memory=1e9), machine(alive=False, cpu=64)], 3, 1, (5, 4, 0)),
        ([machine(cpu=32), machine(cpu=16, gpu=2)], 3, 1, (2, 4, 1)),
        ([machine(cpu=16, gpu=2)], 30, 1, (2, 8, 1)),
        ([machine(cpu=16, gpu=2)], 3, 0, (4, 4, 0)),
        ([machine(cpu=16, gpu=2)], 3, 0.5, (4, 4, 0.5)),
        ([machine(cpu=8, gpu=2), machine(cpu=8)], 3, 0.25, (8, 1, 0.25)),
    ],
)
def test_how_a_cluster_is_divided(
    machines: list[dict[str, object]], workers: int, gpus: float, expected: tuple[int, int, float]
) -> None:
    assert shares(machines, workers, gpus) == expected


def test_a_cluster_without_cores_is_refused() -> None:
    with pytest.raises(InputError, match="no free CPU cores"):
        shares([machine(cpu=0), machine(gpu=1)], 1, 1)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:1", "Nothing answers at 127.0.0.1:1"), ("ray://127.0.0.1:1", "Nothing answers")]
    + [
        (address, "is not the address of a Ray cluster")
        for address in ("", "cluster", "host:port", "http://127.0.0.1:1")
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        RayPipeline(address, FakeEncoder, "x")


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install .*\[ray\]"):
        RayPipeline("local", FakeEncoder, "x")
