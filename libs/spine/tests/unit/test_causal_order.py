"""Whatever histories services made together, their journals alone give an order in which nothing comes before its cause."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from spine_stack import AT

from redress_spine.admin.causal_order import CausalOrder, Journaled, merged

SOURCES = ["intake", "triage", "handling"]


def event(source: str, stream: str, version: int, place: int, seconds: float, cause: Journaled | str | None = None) -> Journaled:
    named = (cause.id, cause.source, cause.place) if isinstance(cause, Journaled) else (cause, "gone", (9**9, 0)) if cause else None
    return Journaled(
        f"{stream}/{source}/{version}", source, SOURCES.index(source), stream, (place, 0), AT + timedelta(seconds=seconds), named
    )


def ordered(events: Iterable[Journaled]) -> tuple[list[Journaled], int, int]:
    """What comes of journals that hold these events: the order, how many had to go before their cause, and how many were held at most."""
    journals = {source: sorted((each for each in events if each.source == source), key=lambda each: each.place) for source in SOURCES}

    async def read(source: str) -> AsyncIterator[Journaled]:
        for each in journals[source]:
            yield each

    async def run() -> tuple[list[Journaled], int, int]:
        order, went, most = CausalOrder(), list[Journaled](), 0
        async for each in merged({source: read(source) for source in SOURCES}):
            went += order.take(each)
            most = max(most, order.held)
        rest = list(order.rest())
        assert order.held == 0, "something waits for ever"
        return went + [each for each, _ in rest], sum(early for _, early in rest), most

    return asyncio.run(run())


@settings(deadline=None, max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(0, 60), st.sampled_from([0.0, 0.5, 30.0]), st.booleans())
def test_nothing_comes_before_its_cause_or_its_predecessor(rng: random.Random, length: int, skew: float, adopted: bool):
    """A history: at each step a service that has read some of a stream's log decides upon the last event that it read. skew: how many
    seconds its clock may be wrong. adopted: a journal's order between streams is not that of time."""
    log: dict[str, list[Journaled]] = {"a": [], "b": [], "c": []}
    read, versions, history = Counter[tuple[str, str]](), Counter[tuple[str, str]](), []
    clocks = {source: rng.uniform(-skew, skew) for source in SOURCES}
    streams = {stream: n * 1_000 for n, stream in enumerate(log)}
    for step in range(length):
        source, stream = rng.choice(SOURCES), rng.choice(list(log))
        read[source, stream] = rng.randint(read[source, stream], len(log[stream]))
        foreign = [each for each in log[stream][: read[source, stream]] if each.source != source]
        versions[source, stream] += 1
        place = step + streams[stream] if adopted else step
        decided = event(source, stream, versions[source, stream], place, step + clocks[source], foreign[-1] if foreign else None)
        log[stream].append(decided)
        history.append(decided)
    went, early, most = ordered(history)
    assert sorted(each.id for each in went) == sorted(each.id for each in history), "one is left out, or comes twice"
    assert not early
    at = {each.id: n for n, each in enumerate(went)}
    for each in history:
        assert each.cause is None or at[each.cause[0]] < at[each.id], f"{each.id} came before its cause {each.cause[0]}"
        stream, source, version = each.id.split("/")
        assert version == "1" or at[f"{stream}/{source}/{int(version) - 1}"] < at[each.id], f"{each.id} came before its predecessor"
    if not skew and not adopted:
        assert went == history, "what is in order by time stays so"
        assert most == 0, "something was held for nothing"


def test_events_of_one_time_go_by_the_services_order():
    events = [event("handling", "a", 1, 1, 0), event("intake", "b", 1, 5, 0), event("triage", "c", 1, 3, 0)]
    assert [each.source for each in ordered(events)[0]] == SOURCES


def test_what_waits_for_a_cause_that_never_comes_goes_by_time_and_is_told():
    lost = event("handling", "a", 1, 1, 1, cause="a/triage/9")
    later = event("handling", "a", 2, 2, 2)
    upon = event("intake", "a", 1, 1, 3, cause=later)
    other = event("triage", "b", 1, 1, 9)
    went, early, most = ordered([lost, later, upon, other])
    assert [each.id for each in went] == [other.id, lost.id, later.id, upon.id]
    assert (early, most) == (1, 3)


def test_two_that_name_each_other_as_cause_do_not_stop_the_others():
    first = Journaled("a/intake/1", "intake", 0, "a", (1, 0), AT, ("a/triage/1", "triage", (1, 0)))
    second = Journaled("a/triage/1", "triage", 1, "a", (1, 0), AT + timedelta(seconds=1), (first.id, "intake", (1, 0)))
    other = event("handling", "b", 1, 1, 5)
    went, early, _ = ordered([first, second, other])
    assert [each.id for each in went] == [other.id, first.id, second.id]
    assert early == 1
