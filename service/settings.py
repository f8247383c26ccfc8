"""The settings of the service and of the command line: the only reader of the environment.

Every field can be set as `QUARTET_<NAME>`, for example `QUARTET_MODEL=/models/news` (docs/settings.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model.home_folder import expand_home
from model.two_tower.prepared_models import MODELS_FOLDER
from quartet.errors import InputError

MIN_KEY = 16
"""Characters of the shortest API key that is accepted."""

Folders = Annotated[dict[str, Path], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """See the module. Values given by the caller win over the environment."""

    model_config = SettingsConfigDict(env_prefix="QUARTET_", frozen=True)

    library: Path | None = Field(default=None, description="Folder of the library to serve.")
    catalog: str | None = Field(
        default=None, description="Database for the catalogue of a library that is made: postgresql://USER@HOST/NAME."
    )
    milvus: str | None = Field(
        default=None,
        description="Milvus that has the library's vectors (`quartet export`): milvus://HOST:PORT/NAME, or "
        "milvus:///FOLDER/FILE.db. None: the library's own files.",
    )
    milvus_token: SecretStr | None = Field(default=None, description="USER:PASSWORD or API key of that Milvus.")
    publish_every: float = Field(
        default=10.0,
        ge=0,
        description="Minutes after which a long indexing run makes searchable what is complete; 0: only at its end.",
    )
    model: str | None = Field(
        default=None,
        description="Name of a model, or the folder of a checkpoint. Without one, that which built the library.",
    )
    models: Path = Field(default=MODELS_FOLDER, description="Folder where `quartet prepare` keeps models.")
    device: str = Field(default="auto", description="Device of the model: auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto",
        description="What a CPU computes networks in: float32, bf16 where it has instructions for it, or auto: as the "
        "library was made, and a new one in bf16 where it can.",
    )
    cuda_graphs: bool = Field(
        default=False, description="On a GPU, encode queries by CUDA graphs, recorded as lengths first come."
    )
    roots: Folders = Field(
        default={}, description="Where named roots of the videos lie here: NAME=PATH, several separated by commas."
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    api_key: SecretStr | None = Field(
        default=None, description="Key that requests must carry. Needed on any address but loopback."
    )
    api_key_file: Path | None = Field(default=None, description="File that holds the key instead.")
    api_keys_file: Path | None = Field(
        default=None,
        description="File of several keys, a line each: NAME ROLE KEY, where the role is read, write or admin. "
        "It is read again when it changes.",
    )
    allow_no_key: bool = Field(default=False, description="Listen on other addresses without a key.")
    allowed_hosts: Names = Field(
        default=(),
        description="Names that the Host header may have, separated by commas. Empty: those of loopback if it "
        "listens there without a key, else any.",
    )
    base_path: str = Field(
        default="", pattern=r"^(/[^/?#\s]+)*$", description="Path below which a proxy shows the service, as /quartet."
    )
    cors_origins: Names = Field(
        default=(),
        description="Origins whose pages may use the API with a key in a header, separated by commas; * for all.",
    )
    max_connections: int = Field(default=4096, ge=0, description="Most open connections; more are refused. 0: any.")
    max_connections_per_client: int = Field(
        default=256, ge=0, description="Most open connections of one address; 0: any, behind a proxy that counts them."
    )

    workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Batches of queries that are answered at a time. On a CPU each has a process with the model.",
    )
    batch_size: int = Field(default=32, ge=1, description="Most waiting queries that go into one call of the model.")
    queue_size: int = Field(default=256, ge=1, description="Most waiting queries; more are answered 429.")
    retry_after: float = Field(default=1.0, gt=0, description="Seconds that a 429 asks callers to wait.")
    request_timeout: float = Field(
        default=60.0, gt=0, description="Seconds that a search may take, waiting included; then it is answered 503."
    )
    encode_timeout: float = Field(
        default=30.0, gt=0, description="Seconds that one call of the model may take; then its process is replaced."
    )
    max_decodings: int = Field(
        default=2, ge=1, description="Most uploads that are decoded at a time; more are answered 429."
    )
    query_cache: int = Field(default=1024, ge=0, description="How many encoded sentences are kept.")
    reload_interval: float = Field(default=0.5, gt=0, description="Seconds between looks for a newer generation.")

    max_body_bytes: int = Field(
        default=2**20, ge=1, description="Largest body in bytes that is no upload; larger ones are answered 413."
    )
    max_upload_bytes: int = Field(
        default=256 * 2**20, ge=1, description="Largest upload in bytes; larger ones are answered 413."
    )
    receive_timeout: float = Field(
        default=20.0, gt=0, description="Seconds without a byte of a request after which it is given up."
    )
    upload_timeout: float = Field(default=600.0, gt=0, description="Seconds that the body of a request may take.")
    shutdown_grace: float = Field(default=30.0, gt=0, description="Seconds that requests have to finish at the end.")

    job_folders: Folders = Field(
        default={},
        description="Folders that jobs may index: NAME=PATH, several separated by commas. Empty: no jobs over folders.",
    )
    upload_folder: Path | None = Field(
        default=None, description="Folder where videos that are uploaded to be indexed are kept. None: no such uploads."
    )
    upload_quota_bytes: int = Field(
        default=10 * 2**30, ge=0, description="Bytes that uploads in that folder may take; more are answered 507."
    )
    max_jobs: int = Field(default=8, ge=1, description="Most jobs that wait; more are answered 429.")

    log_format: Literal["text", "json"] = Field(default="text", description="Lines for people, or an object a line.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged.")

    text_cache: Path = Field(
        default=Path("~/.cache/quartet"), description="Folder where training keeps parsed and encoded captions."
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

    @field_validator("roots", "job_folders", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if not all(name and path for name, _, path in pairs):
            raise ValueError("folders are given as NAME=PATH")
        return {name: path for name, _, path in pairs}


def read_key(path: Path) -> str:
    """The text of a file of keys, without blanks around it. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"The API key cannot be read from {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"The API key cannot be read from {path}: it is not text in UTF-8.") from None


def checked_key(key: str) -> str:
    """`key`, if it is one. Raises InputError."""
    if len(key) < MIN_KEY or not key.isascii() or not key.isprintable():
        raise InputError(
            f"An API key must have at least {MIN_KEY} printable ASCII characters. "
            'Make one with: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return key
