"""What is loaded before a service answers is never gone through again for cyclic garbage."""

from __future__ import annotations

import gc
import weakref

from service.encoders.garbage_collection import startup_objects_frozen


class Node:
    def __init__(self) -> None:
        self.own = self


def test_garbage_is_taken_out_first_and_only_what_comes_later_is_looked_at() -> None:
    before, kept = weakref.ref(Node()), Node()
    with startup_objects_frozen():
        assert before() is None
        assert gc.get_freeze_count() > 0 and all(one is not kept for one in gc.get_objects())
        after = weakref.ref(Node())
        gc.collect()
        assert after() is None
    assert gc.get_freeze_count() == 0 and any(one is kept for one in gc.get_objects())
