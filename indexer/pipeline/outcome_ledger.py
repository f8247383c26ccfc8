"""Keeping the outcomes of files apart that were read on one machine, and once more on another."""

from __future__ import annotations

from pathlib import Path

from indexer.pipeline.file_outcomes import Encoded, Outcome, Part


class Ledger:
    """Lets through one consistent series of outcomes per file.

    When a machine is lost, its files are begun again on another, and outcomes that have arrived are not sent again.
    This is seamless as long as the second reading gives what the first one gave. A file that changed in between gives
    another content, or a different number of outcomes, so that some are there twice and others not at all.
    """

    def __init__(self) -> None:
        self._next: dict[Path, tuple[str, int]] = {}
        self._closed: set[Path] = set()

    def admits(self, outcome: Outcome) -> bool:
        """Whether it carries on what was let through of its file. If not, nothing more of that file is."""
        path = outcome.file.path
        if path in self._closed:
            return False
        if isinstance(outcome, Part | Encoded):
            content = outcome.file.sha256
            if (content, outcome.first) != self._next.get(path, (content, outcome.cut.kept)):
                self._closed.add(path)
                return False
            self._next[path] = content, outcome.first + len(outcome.clips)
        if not isinstance(outcome, Part):
            self._closed.add(path)
        return True
