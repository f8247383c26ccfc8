"""Who is next: the jobs that wait, by lane and by client.

Single questions have a lane of their own, before that of lists, which no client can fill for the others. In each lane
the clients take turns, and work is counted by what it costs, not by how many ask. At least one worker, where there are
several, never works on lists: a single question waits for one batch of others at most.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Lane = Literal["single", "list"]
LANES: tuple[Lane, ...] = get_args(Lane)

_MAX_SINGLES_IN_A_ROW = 4
"""How many batches of single questions are answered in a row while lists wait, with one worker as with many."""


@dataclass(frozen=True, eq=False)
class Job:
    """`cost` is in units of a short sentence, `items` are the questions in it. `client` names who asks."""

    kind: str
    payload: Any
    cost: int = 1
    items: int = 1
    client: str = ""
    lane: Lane = "single"
    group: object = None
    future: Future[Any] = field(default_factory=Future)


class FairLine:
    """See the module. `most` is the largest cost that waits in a lane; a client that has nothing there gets in past it,
    up to twice as much. Not thread-safe.
    """

    def __init__(self, most: int, workers: int) -> None:
        self._most = most
        self._list_workers = max(1, workers - 1)
        self._waiting: dict[Lane, OrderedDict[str, deque[Job]]] = {lane: OrderedDict() for lane in LANES}
        self._singles = 0

    def depth(self) -> int:
        """The cost of all that waits."""
        return sum(self._cost(lane) for lane in LANES)

    def has_room(self, jobs: Sequence[Job]) -> bool:
        """Whether `jobs`, of one client and lane, may be added. A client cannot fill the line for another."""
        client, lane = jobs[0].client, jobs[0].lane
        waiting = self._cost(lane)
        if client not in self._waiting[lane]:
            return waiting < 2 * self._most
        return waiting + sum(job.cost for job in jobs) <= self._most

    def add(self, job: Job) -> None:
        self._waiting[job.lane].setdefault(job.client, deque()).append(job)

    def clear(self) -> list[Job]:
        """Everything that waits, which then does not any more."""
        left = [job for lane in LANES for jobs in self._open(lane).values() for job in jobs]
        for lane in LANES:
            self._waiting[lane].clear()
        return left

    def take(self, most: int, workers: int, running: Sequence[Sequence[Job]]) -> list[Job]:
        """The next batch: jobs of one lane, kind and group, clients in turn; empty where nothing may be begun.

        It costs `most` or an equal share of what waits and runs, whichever is less, unless its first job costs more.
        """
        lane = self._next_lane(running)
        if lane is None:
            return []
        clients = self._open(lane)
        first = next(iter(clients.values()))[0]
        alike = [
            [job for job in jobs if (job.kind, job.group) == (first.kind, first.group)] for jobs in clients.values()
        ]
        total = sum(job.cost for jobs in alike for job in jobs) + sum(job.cost for jobs in running for job in jobs)
        share = min(most, -(-total // workers))
        taken: list[Job] = []
        cost = 0
        # The first of each client, then the second of each, and so on.
        for turn in range(max(map(len, alike))):
            for jobs in alike:
                if turn < len(jobs) and (not taken or cost + jobs[turn].cost <= share):
                    taken.append(jobs[turn])
                    cost += jobs[turn].cost
        self._remove(lane, taken)
        self._singles = self._singles + 1 if lane == "single" else 0
        return taken

    def _next_lane(self, running: Sequence[Sequence[Job]]) -> Lane | None:
        lists = sum(bool(jobs) and jobs[0].lane == "list" for jobs in running)
        may_list = bool(self._open("list")) and lists < self._list_workers
        if self._open("single") and not (may_list and self._singles >= _MAX_SINGLES_IN_A_ROW):
            return "single"
        return "list" if may_list else None

    def _remove(self, lane: Lane, taken: Sequence[Job]) -> None:
        clients, gone = self._waiting[lane], set(map(id, taken))
        for client in {job.client: None for job in taken}:
            left = deque(job for job in clients[client] if id(job) not in gone)
            if left:
                clients[client] = left
                clients.move_to_end(client)
            else:
                del clients[client]

    def _open(self, lane: Lane) -> OrderedDict[str, deque[Job]]:
        """The jobs of a lane by client. Forgets those that nobody waits for any more."""
        clients = self._waiting[lane]
        for client in [name for name, jobs in clients.items() if any(job.future.cancelled() for job in jobs)]:
            left = deque(job for job in clients[client] if not job.future.cancelled())
            if left:
                clients[client] = left
            else:
                del clients[client]
        return clients

    def _cost(self, lane: Lane) -> int:
        return sum(job.cost for jobs in self._open(lane).values() for job in jobs)
