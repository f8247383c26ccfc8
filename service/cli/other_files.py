"""Files of a folder that nobody takes for videos: they are counted, not listed one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.catalog.records import Failure


def split_failures(failures: Sequence[Failure]) -> tuple[list[Failure], list[Failure]]:
    """Refused files that people have to see, and those that are neither named like a video nor one."""
    other = [each for each in failures if each.is_other]
    return [each for each in failures if each not in other], other


def other_files_line(other: Sequence[Failure]) -> str:
    """How many they are, by suffix, as a sentence."""
    kinds = Counter(each.path.suffix.lower() or "without a suffix" for each in other).most_common()
    named = [f"{count} {kind}" for kind, count in kinds[:5]]
    named += [f"{sum(count for _, count in kinds[5:])} more"] if len(kinds) > 5 else []
    what = "1 file is not a video" if len(other) == 1 else f"{len(other)} files are not videos"
    return f"{what}: {', '.join(named)}."
