"""Where a Milvus is and how it is reached: `milvus://HOST:PORT/NAME`, or a file of Milvus Lite."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from quartet.errors import InputError, LibraryError
from quartet.installation import install_command

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_FORMS = "milvus://HOST:PORT/NAME, milvus+tls://HOST:PORT/NAME, or milvus:///FOLDER/FILE.db for a file of Milvus Lite"
_SCHEMES = {"milvus": "http", "milvus+tls": "https"}
_PORT = 19530
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_NAME_IN_A_FILE = "quartet"

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a server."""


@dataclass(frozen=True)
class Address:
    """Where a library is in Milvus.

    uri   what pymilvus connects to: the URL of a server or the path of a file
    name  begins the names of its collections
    text  as it was given
    """

    uri: str
    name: str
    text: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file of Milvus Lite, which one process at a time can have open."""
        return not self.uri.startswith("http")

    def __str__(self) -> str:
        return self.text


def parse_address(text: str) -> Address:
    """Raises InputError for what is not an address of a Milvus, or holds a password."""
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise InputError(f"{text!r} is not a Milvus address. Give {_FORMS}.")
    if parts.username or parts.password:
        raise InputError(
            "The Milvus address contains a password. Leave it out, and set QUARTET_MILVUS_TOKEN to USER:PASSWORD."
        )
    if not parts.netloc:
        path = Path(parts.path)
        if path.suffix != ".db" or parts.scheme != "milvus":
            raise InputError(f"{text!r} is not a file of Milvus Lite: its name must end in .db, as in {_FORMS}.")
        return Address(str(path), _NAME_IN_A_FILE, text)
    name = parts.path.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{text!r} has no valid library name. Use at most 100 letters, digits and underscores, as in {_FORMS}."
        )
    try:
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        raise InputError(f"{text!r} has an invalid port. Give {_FORMS}.") from None
    shown = f"[{host}]" if host and ":" in host else host
    return Address(f"{_SCHEMES[parts.scheme]}://{shown}:{port}", name, text)


def connect(address: Address, token: str | None = None, make: bool = False) -> MilvusClient:
    """A client of the Milvus at `address`, for any number of threads.

    token  USER:PASSWORD or an API key
    make   make a file of Milvus Lite that is not there
    Raises LibraryError if pymilvus is not installed, the server does not answer, or a file is in use.
    """
    try:
        from pymilvus import MilvusClient
    except ModuleNotFoundError as error:
        raise LibraryError(f"A library in Milvus needs {error.name}. Run: {install_command('milvus')}") from error

    # It logs every error with its traceback, and raises it too.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)
    if address.is_file:
        _check_file(address, make)
    with library_errors(address):
        return MilvusClient(address.uri, token=token or "", timeout=CONNECT_TIMEOUT)


def _check_file(address: Address, make: bool) -> None:
    """Raises LibraryError for what pymilvus only calls `Open local milvus failed`."""
    if find_spec("milvus_lite") is None:
        raise LibraryError(f"{address} is a file of Milvus Lite, which is not installed. Run: pip install milvus-lite")
    file = Path(address.uri)
    if not file.parent.is_dir():
        raise LibraryError(f"{address} cannot be opened: there is no folder {file.parent}.")
    if not make and not file.exists():
        raise LibraryError(f"There is no library at {address}. Run: quartet export --to {address}")


@contextmanager
def library_errors(address: Address) -> Iterator[None]:
    """Turns errors of pymilvus and of the connection into LibraryError."""
    from grpc import RpcError
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message).split())
        if address.is_file and "Open local milvus failed" in reason:
            reason = "another process has the file open, or it is not a file of Milvus Lite"
        raise LibraryError(f"The Milvus at {address} cannot be used: {reason}.") from error
    except RpcError as error:
        raise LibraryError(f"The Milvus at {address} does not answer: {type(error).__name__}.") from error
