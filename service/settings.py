"""The settings of the service and of the command line: the only reader of the environment.

Every field can be set as `QUARTET_<NAME>`, for example `QUARTET_MODEL=/models/news`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """See the module. Values given by the caller win over the environment."""

    model_config = SettingsConfigDict(env_prefix="QUARTET_", frozen=True)

    library: Path | None = Field(default=None, description="Folder of the library to serve.")
    catalog: str | None = Field(
        default=None, description="Database for the catalogue of a library that is made: postgresql://USER@HOST/NAME."
    )
    model: str = Field(default="demo", description="Name of a model, or the folder of a checkpoint.")
    device: str = Field(default="auto", description="Device of the model: auto, cpu, cuda or cuda:N.")
    roots: Annotated[dict[str, Path], NoDecode] = Field(
        default={}, description="Where named roots of the videos lie here: NAME=PATH, several separated by commas."
    )
    batch_size: int = Field(default=32, ge=1, description="Most waiting queries that go into one call of the model.")
    queue_size: int = Field(default=256, ge=1, description="Most waiting queries; more are answered 429.")
    retry_after: float = Field(default=1.0, gt=0, description="Seconds that a 429 asks callers to wait.")
    max_upload_bytes: int = Field(
        default=256 * 2**20, ge=1, description="Largest upload in bytes; larger ones are answered 413."
    )
    text_cache: Path = Field(
        default=Path("~/.cache/quartet"), description="Folder where training keeps parsed and encoded captions."
    )

    @field_validator("roots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if not all(name and path for name, _, path in pairs):
            raise ValueError("roots are given as NAME=PATH")
        return {name: path for name, _, path in pairs}
