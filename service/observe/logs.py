"""The log: lines for people, or a JSON object a line, each with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from service.settings import Settings

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered here, None outside of one."""


class JsonLines(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, `request_id`, what the line has of its own, and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Lines(logging.Formatter):
    """Time, level, message and the request's id. What a client sends cannot begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        message = record.getMessage().encode("unicode_escape").decode("ascii")
        request_id = REQUEST_ID.get()
        line = f"{time} {record.levelname.lower():7} {message}" + (f" [{request_id}]" if request_id else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is the standard error at that moment: a caller may have replaced the one of the start."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """`StreamHandler` sets one; it is not kept."""


def configure(settings: Settings) -> None:
    """Send the log of this process to its standard error, as the settings say."""
    handler = StandardError()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # Every request has a line of ours already.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("asyncio", "httpx", "httpx2", "PIL", "filelock", "faiss.loader"):
        logging.getLogger(name).setLevel(logging.WARNING)
