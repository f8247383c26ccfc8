"""The settings of the service and of the command line: the only reader of the environment, but for passwords that
clients of servers take from it themselves (PGPASSWORD by libpq, QUARTET_MILVUS_TOKEN by `indexer.milvus.home`).

Every field can be set as `QUARTET_<NAME>`, for example `QUARTET_MODEL=/models/news` (docs/settings.md).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model.encoder import checked_parsers
from model.home_folder import expand_home
from model.two_tower.prepared_models import MODELS_FOLDER
from quartet.errors import InputError

DEFAULT = "default"
"""Name of the library that QUARTET_LIBRARY names."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")

MIN_KEY = 16
"""Characters of the shortest API key that is accepted."""

Folders = Annotated[dict[str, Path], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]
Pairs = Annotated[dict[str, str], NoDecode]


class Settings(BaseSettings):
    """See the module. Values given by the caller win over the environment."""

    # An empty variable is one that is not set: compose files and shells leave such.
    model_config = SettingsConfigDict(env_prefix="QUARTET_", env_ignore_empty=True, frozen=True)

    library: Path | None = Field(default=None, description="Folder of the library to serve.")
    libraries: Folders = Field(
        default={},
        description="More libraries to serve, at /v1/libraries/NAME: NAME=PATH, separated by commas. Without "
        "QUARTET_LIBRARY the first one is the default.",
    )
    catalog: str | None = Field(
        default=None, description="Database for the catalogue of a new library: postgresql://USER@HOST/NAME."
    )
    store: str | None = Field(
        default=None,
        description="Where the vectors of a new library are: milvus://HOST:PORT/NAME. None: in its folder.",
    )
    milvus: str | None = Field(
        default=None,
        description="Milvus with the library's vectors (`quartet export`): milvus://HOST:PORT/NAME, or "
        "milvus:///FOLDER/FILE.db. None: search the library's own files.",
    )
    milvus_token: SecretStr | None = Field(default=None, description="USER:PASSWORD or API key of the Milvus.")
    publish_every: float = Field(
        default=10.0,
        ge=0,
        description="Minutes between publications of finished clips in a long indexing run. 0: only at its end.",
    )
    model: str | None = Field(
        default=None,
        description="Name of a model, or the folder of a checkpoint. Default: the model that built the library.",
    )
    models: Path = Field(default=MODELS_FOLDER, description="Folder for the models of `quartet prepare`.")
    device: str = Field(default="auto", description="Device of the model: auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto",
        description="Number format of networks on a CPU: float32, bf16 (if the processor supports it), or "
        "auto: the precision of the library; bf16 for a new library if the processor supports it.",
    )
    cuda_graphs: bool = Field(
        default=False,
        description="On a GPU, encode queries with CUDA graphs. A graph is recorded for each new query length.",
    )
    parsers: Pairs = Field(
        default={},
        description="spaCy pipelines for queries in other languages: LANGUAGE=PIPELINE, separated by commas, such as "
        "de=de_core_news_sm. Two-tower models use them.",
    )
    roots: Folders = Field(
        default={}, description="Folders of named video roots on this machine: NAME=PATH, separated by commas."
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    api_key: SecretStr | None = Field(
        default=None, description="API key that requests must send. Required on any address but loopback."
    )
    api_key_file: Path | None = Field(default=None, description="File that contains the API key.")
    api_keys_file: Path | None = Field(
        default=None,
        description="File with several keys, one per line: NAME ROLE KEY, where ROLE is read, write or "
        "admin. The service reloads it after a change.",
    )
    allow_no_key: bool = Field(default=False, description="Allow addresses other than loopback without an API key.")
    allowed_hosts: Names = Field(
        default=(),
        description="Allowed names in the Host header, separated by commas. Empty: loopback names if the "
        "service listens on loopback without a key, else any name.",
    )
    base_path: str = Field(
        default="", pattern=r"^(/[^/?#\s]+)*$", description="Path of the service behind a proxy, such as /quartet."
    )
    cors_origins: Names = Field(
        default=(),
        description="Origins whose pages may call the API with a key in a header, separated by commas. * allows all.",
    )
    max_connections: int = Field(
        default=4096, ge=0, description="Maximum open connections; beyond that: refused. 0: no limit."
    )
    max_connections_per_client: int = Field(
        default=256,
        ge=0,
        description="Maximum open connections per client address. 0: no limit, for a proxy that counts them.",
    )

    workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Number of query batches answered in parallel. On a CPU, each has its own model process.",
    )
    batch_size: int = Field(default=32, ge=1, description="Maximum queries in one call of the model.")
    queue_size: int = Field(default=256, ge=1, description="Maximum queued queries; beyond that: 429.")
    retry_after: float = Field(default=1.0, gt=0, description="Retry-After of a 429, in seconds.")
    request_timeout: float = Field(
        default=60.0,
        gt=0,
        description="Maximum seconds of a search, including its time in the queue; beyond that: 503.",
    )
    encode_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Maximum seconds of one call of the model; beyond that, its process is replaced.",
    )
    max_decodings: int = Field(default=2, ge=1, description="Maximum uploads decoded in parallel; beyond that: 429.")
    query_cache: int = Field(default=1024, ge=0, description="Number of encoded sentences in the cache.")
    reload_interval: float = Field(default=0.5, gt=0, description="Seconds between checks for a new generation.")

    max_body_bytes: int = Field(
        default=2**20, ge=1, description="Maximum bytes of a request body other than an upload; beyond that: 413."
    )
    max_upload_bytes: int = Field(
        default=256 * 2**20, ge=1, description="Maximum bytes of an upload; beyond that: 413."
    )
    receive_timeout: float = Field(
        default=20.0, gt=0, description="Maximum seconds without a new byte of a request; beyond that, it is aborted."
    )
    upload_timeout: float = Field(default=600.0, gt=0, description="Maximum seconds to receive a request body.")
    shutdown_grace: float = Field(default=30.0, gt=0, description="Seconds for running requests to finish at shutdown.")

    job_folders: Folders = Field(
        default={},
        description="Folders that jobs may index: NAME=PATH, separated by commas. Empty: folder jobs are off.",
    )
    upload_folder: Path | None = Field(
        default=None, description="Folder for videos uploaded to the library. None: uploads to the library are off."
    )
    upload_quota_bytes: int = Field(
        default=10 * 2**30, ge=0, description="Maximum bytes of all uploads in that folder; beyond that: 507."
    )
    max_jobs: int = Field(default=8, ge=1, description="Maximum queued jobs; beyond that: 429.")

    log_format: Literal["text", "json"] = Field(default="text", description="Log lines as text or as JSON objects.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum level of logged messages."
    )

    text_cache: Path = Field(
        default=Path("~/.cache/quartet"), description="Folder for captions that training has parsed and encoded."
    )

    def key(self) -> str | None:
        """The API key, from the setting or from its file. Raises InputError."""
        if self.api_key is not None:
            return checked_key(self.api_key.get_secret_value())
        return None if self.api_key_file is None else checked_key(read_key(self.api_key_file))

    def text_cache_folder(self) -> Path:
        """`text_cache` without `~`. Raises InputError where no home folder is known."""
        return expand_home(self.text_cache, "QUARTET_TEXT_CACHE")

    def token(self) -> str | None:
        """The token of Milvus."""
        return None if self.milvus_token is None else self.milvus_token.get_secret_value()

    @property
    def has_keys(self) -> bool:
        """Whether requests must carry a key."""
        return any(given is not None for given in (self.api_key, self.api_key_file, self.api_keys_file))

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("parsers", mode="before")
    @classmethod
    def _split_parsers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return checked_parsers(value.split(","))
        except InputError as error:
            raise ValueError(str(error)) from error

    def by_library(self) -> dict[str, Settings]:
        """The settings of each library to serve, by its name, the default one first.

        The model, the catalogue, the store and the Milvus that are named are those of the default one; others have the
        model that built them.
        """
        folders = ({} if self.library is None and self.libraries else {DEFAULT: self.library}) | self.libraries
        default, *others = folders
        none = {"model": None, "catalog": None, "store": None, "milvus": None}
        return {
            default: self.model_copy(update={"library": folders[default]}),
            **{name: self.model_copy(update={"library": folders[name], **none}) for name in others},
        }

    @field_validator("libraries")
    @classmethod
    def _check_libraries(cls, value: dict[str, Path]) -> dict[str, Path]:
        for name in value:
            if name == DEFAULT or not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be the name of a library; choose another one of letters, digits, '.', '_' and '-'"
                )
        return value

    @model_validator(mode="after")
    def _check_folders(self) -> Settings:
        folders = [path.resolve() for path in (self.library, *self.libraries.values()) if path is not None]
        if len(set(folders)) < len(folders):
            raise ValueError("QUARTET_LIBRARY and QUARTET_LIBRARIES name the same folder twice")
        return self

    @field_validator("roots", "job_folders", "libraries", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if not all(name and path for name, _, path in pairs):
            raise ValueError("folders must have the form NAME=PATH")
        return {name: path for name, _, path in pairs}


def read_key(path: Path) -> str:
    """The text of a file of keys, without blanks around it. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"The API key cannot be read from {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"The API key cannot be read from {path}: it is not UTF-8 text.") from None


def checked_key(key: str) -> str:
    """`key`, if it is one. Raises InputError."""
    if len(key) < MIN_KEY or not key.isascii() or not key.isprintable():
        raise InputError(
            f"An API key must have at least {MIN_KEY} printable ASCII characters. "
            'Make one with: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return key
