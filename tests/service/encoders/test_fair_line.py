"""Who is next: lanes, turns between clients, and work that is counted by what it costs."""

from __future__ import annotations

from service.encoders.fair_line import FairLine, Job, Lane


def line(*jobs: Job, most: int = 100, workers: int = 2) -> FairLine:
    made = FairLine(most, workers)
    for job in jobs:
        made.add(job)
    return made


def job(payload: str, client: str = "", cost: int = 1, lane: Lane = "single", kind: str = "text") -> Job:
    return Job(kind, payload, cost, client=client, lane=lane)


def said(jobs: list[Job]) -> str:
    return " ".join(one.payload for one in jobs)


def test_a_single_question_goes_before_lists_and_one_worker_stays_free_of_them() -> None:
    waits = line(*(job(f"l{i}", "many", 16, "list") for i in range(9)), job("one", "few"))
    first = waits.take(32, 2, [])
    assert said(first) == "one"
    second = waits.take(32, 2, [first])
    assert said(second) == "l0 l1"
    # The other worker waits for single questions, however many lists there are.
    assert waits.take(32, 2, [second]) == []
    waits.add(job("two", "few"))
    assert said(waits.take(32, 2, [second])) == "two"
    # A single worker has to do both.
    assert said(line(job("l", lane="list"), workers=1).take(32, 1, [])) == "l"


def test_lists_get_their_turn_among_single_questions() -> None:
    waits = line(*(job(f"s{i}", cost=9) for i in range(8)), job("l", lane="list"))
    assert [said(waits.take(9, 2, [])) for _ in range(6)] == ["s0", "s1", "s2", "s3", "l", "s4"]


def test_clients_take_turns() -> None:
    waits = line(*(job(f"a{i}", "a") for i in range(50)), job("b0", "b"), job("b1", "b"), job("c0", "c"))
    assert said(waits.take(5, 1, [])) == "a0 b0 c0 a1 b1"
    waits.add(job("d0", "d", kind="other"))
    assert said(waits.take(3, 1, [])) == "a2 a3 a4"
    assert said(waits.take(3, 1, [])) == "d0"


def test_a_batch_is_as_large_as_its_cost() -> None:
    waits = line(*(job(f"long{i}", str(i), 16) for i in range(4)), job("short", "s"))
    assert said(waits.take(32, 1, [])) == "long0 long1"
    # One that costs more than a batch is a batch.
    assert said(line(job("huge", cost=99), job("next")).take(32, 1, [])) == "huge"


def test_jobs_of_different_groups_share_no_batch() -> None:
    waits = FairLine(100, 1)
    for payload, group in (("a", "000001"), ("b", "000002"), ("c", "000001")):
        waits.add(Job("text", payload, group=group))
    assert said(waits.take(32, 1, [])) == "a c"


def test_no_client_fills_the_line_for_another() -> None:
    waits = line(job("a", "attacker", 10), most=10)
    assert not waits.has_room([job("a2", "attacker")])
    assert waits.has_room([job("b", "other", 3)])
    waits.add(job("b", "other", 10))
    assert not waits.has_room([job("c", "third")]), "there is an end to that too"
    assert waits.has_room([job("c", "third", lane="list")])
    # A list that is longer than the line gets in, as a whole.
    assert line(most=10).has_room([job(str(i), "x", 5, "list") for i in range(9)])
