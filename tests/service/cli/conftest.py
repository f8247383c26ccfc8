"""The command as a process of its own would run it."""

from __future__ import annotations

import logging

import pytest

from service.observe.logs import StandardError


@pytest.fixture(autouse=True)
def own_log() -> None:
    """Without the log of a service that an earlier test has started in this process: it writes to what is read here."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, StandardError)]:
        root.removeHandler(handler)
