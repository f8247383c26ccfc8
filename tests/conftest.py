"""Fixtures that tests of several rooms share."""

import multiprocessing
import sys
from multiprocessing import forkserver

import pytest

from service.encoders.encoder_worker import WITH_PYTORCH
from tests.milvus_server import milvus_address, milvus_server

__all__ = ["milvus_address", "milvus_server"]

# Some tests import OpenVINO before the product does. Its telemetry would fork this large process for every report.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@pytest.fixture(scope="session", autouse=True)
def _fork_server_with_libraries() -> None:
    """As in a service. Otherwise decoding would start the server first, without the libraries of the encoders, and
    each process of an encoder would import them, which takes it seconds."""
    multiprocessing.set_forkserver_preload(WITH_PYTORCH)
    forkserver.ensure_running()
