"""The API's description, OpenAPI 3.1, as a file: `python -m service.http.openapi_file docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from service.http.app import create_app
from service.settings import Settings


def document() -> str:
    """The description as JSON text."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
