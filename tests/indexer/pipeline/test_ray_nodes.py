"""Indexing on a Ray cluster of two nodes, one of which is lost in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from indexer.ingest.index_run import index_videos
from indexer.pipeline.progress import Progress
from indexer.pipeline.ray_pipeline import RayPipeline
from indexer.store.library import Library
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from tests.indexer.pipeline.test_ray import contents, token  # noqa: F401  a fixture

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture
def nodes(token: None) -> Iterator[tuple[Any, Any]]:  # noqa: F811
    """A cluster of a machine with two cores, to which this process is connected, and another of two."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    other = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster, other
    ray.shutdown()
    cluster.shutdown()


def test_a_node_that_is_lost_costs_no_video(tmp_path: Path, nodes: tuple[Any, Any], videos: Path) -> None:
    cluster, other = nodes
    lost = []

    def lose(progress: Progress) -> None:
        if progress.clips and not lost:
            lost.append(progress.clips)
            cluster.remove_node(other)

    encoder = FakeEncoder()
    with closing(RayPipeline(cluster.address, FakeEncoder, encoder.spec.fingerprint)) as pipeline:
        assert pipeline.lanes == {"decode": 2, "encode": 2}
        report = index_videos(tmp_path / "ray", [videos], encoder, pipeline=pipeline, on_progress=lose)
    assert lost
    assert (report.indexed, report.refused) == (5, [])
    assert verify_library(tmp_path / "ray") == []
    index_videos(tmp_path / "here", [videos], encoder)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    with Library.open(tmp_path / "ray") as library:
        assert len(library.current().clips) == 5
