"""Uploads that are searched with are decoded in a few processes at a time, which yield to searches."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_pool import Part, UntrustedDecoding
from quartet.errors import BusyError


class Decodings:
    """At most `most` at a time; another waits `patience` seconds for its turn. For the event loop's thread.

    running  how many there are now
    done     how many there were, and `seconds` what they took together
    """

    def __init__(self, most: int, patience: float) -> None:
        self._turns = asyncio.Semaphore(most)
        self._patience = patience
        self.running = self.done = 0
        self.seconds = 0.0

    def check(self) -> None:
        """Before an upload is received: raises BusyError if it would have to wait now."""
        if self._turns.locked():
            raise BusyError(self._patience)

    async def sampled(self, path: Path, count: int, part: Part | None = None) -> SampledClip:
        """`count` frames of a file, or of a `part` of it. Ends the decoding where nobody waits for it any more.

        Raises VideoError, and BusyError where no turn comes.
        """
        try:
            await asyncio.wait_for(self._turns.acquire(), self._patience)
        except TimeoutError:
            raise BusyError(self._patience) from None
        self.running += 1
        began = time.perf_counter()
        decoding = UntrustedDecoding(path, count, part=part)
        work = asyncio.ensure_future(asyncio.to_thread(decoding.run))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            decoding.stop()
            # Its process has ended, so this comes at once. What it says of that is for nobody.
            await asyncio.wait([work])
            work.exception()
            raise
        finally:
            self.running -= 1
            self.done += 1
            self.seconds += time.perf_counter() - began
            self._turns.release()
