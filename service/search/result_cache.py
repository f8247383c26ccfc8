"""The most recently used results, by what they were made of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ResultCache(Generic[K, V]):
    """At most `size` results, the least recently used given up first. Safe to use from many threads.

    `hits` and `misses` count look-ups since the start.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, keys: Sequence[K], make: Callable[[list[K]], Sequence[V]]) -> list[V]:
        """The result for every key; `make` is called once, with the keys that are lacking, each once."""
        found: dict[K, V] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
            self.hits += sum(key in found for key in keys)
            self.misses += sum(key not in found for key in keys)
        lacking = [key for key in dict.fromkeys(keys) if key not in found]
        if lacking:
            made = dict(zip(lacking, make(lacking), strict=True))
            found |= made
            with self._lock:
                self._kept |= made
                while len(self._kept) > self._size:
                    self._kept.popitem(last=False)
        return [found[key] for key in keys]
