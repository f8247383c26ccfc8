"""Whether a catalogue and a generation belong together: each has the number and the random stamp of the other.

A generation is noted in the catalogue before CURRENT names it, and as settled after. So a catalogue that does not know
the live generation was restored from an older copy, or is another library's; and one that has settled a later
generation finds that the folder was restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from indexer.catalog.records import GenerationNote
from quartet.errors import LibraryError


def require_agreement(library: Path, number: int, stamp: str, notes: Mapping[int, GenerationNote]) -> None:
    """Raises LibraryError unless the live generation `number` with its `stamp` is the one that the catalogue means.

    notes  what the catalogue has noted. An earlier version noted nothing, and its manifests have no stamp
    """
    if not notes and not stamp:
        return
    known = notes.get(number)
    if known is None or known.stamp != stamp:
        raise LibraryError(
            f"The catalogue of {library} does not know the live generation {number:06d}: it is an older copy, "
            "or belongs to another library. Restore the newest copy, or run `quartet repair`, which keeps "
            "what catalogue and index share. The next `quartet index` then encodes the rest."
        )
    newest = max((each for each, note in notes.items() if note.settled), default=number)
    if newest > number:
        raise LibraryError(
            f"The catalogue of {library} belongs to generation {newest:06d}, but {number:06d} is live: the "
            "files of the library are an older copy, or this folder is a copy. Restore the newest files, or "
            "run `quartet repair`, which keeps what catalogue and index share. The next `quartet index` then "
            "encodes the rest."
        )
