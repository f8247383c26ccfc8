"""Fixtures that tests of several rooms share."""

from tests.milvus_server import milvus_address, milvus_server

__all__ = ["milvus_address", "milvus_server"]
