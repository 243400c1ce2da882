"""Commands on one subject go one after the other in the order of their coming, and whoever goes away holds up nobody."""

from __future__ import annotations

import asyncio

import pytest

from redress_spine.messaging.turns import Turns
from redress_spine.store.errors import Unavailable


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


class Crowd:
    """Who has the turn, who had it, and a gate for each to leave by."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.came: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.leaving: dict[str, list[asyncio.Task[None]]] = {}  # whom each cancels as it leaves

    def enter(self, name: str, subject: str = "complaint/1", until: float | None = None) -> asyncio.Task[None]:
        async def stay() -> None:
            async with self.turns.of(subject, until or soon()):
                self.came.append(name)
                await self.gates[name].wait()
            for other in self.leaving.pop(name, []):  # before anybody else runs
                other.cancel()

        self.gates[name] = asyncio.Event()
        return asyncio.create_task(stay())


async def test_of_one_subject_one_at_a_time_in_order_and_of_others_at_once_and_nothing_is_kept() -> None:
    crowd = Crowd(Turns())
    tasks = [crowd.enter(name) for name in "abc"] + [crowd.enter("other", "complaint/2")]
    await settled()
    assert crowd.came == ["a", "other"] and len(crowd.turns) == 2
    for name, came in (("a", ["a", "other", "b"]), ("b", ["a", "other", "b", "c"])):
        crowd.gates[name].set()
        await settled()
        assert crowd.came == came
    crowd.gates["c"].set()
    crowd.gates["other"].set()
    await asyncio.gather(*tasks)
    assert len(crowd.turns) == 0


async def test_whoever_gives_up_waiting_is_passed_over_even_in_the_moment_when_the_turn_comes() -> None:
    crowd = Crowd(Turns())
    first, second, third, fourth = [crowd.enter(name) for name in "abcd"]
    await settled()
    second.cancel()
    await settled()
    crowd.leaving["a"] = [third]  # its turn has come, and it does not know yet
    crowd.gates["a"].set()
    await first
    await settled()
    assert crowd.came == ["a", "d"]
    crowd.gates["d"].set()
    await fourth
    assert len(crowd.turns) == 0
    assert third.cancelled() and second.cancelled()


async def test_whoever_waits_too_long_or_behind_too_many_is_told_to_come_again() -> None:
    crowd = Crowd(Turns(most=1))
    first = crowd.enter("a")
    await settled()
    late = crowd.enter("b", until=soon(0.01))
    await settled()
    with pytest.raises(Unavailable):
        await crowd.enter("c")
    with pytest.raises(Unavailable):
        await late
    crowd.gates["a"].set()
    await first
    assert len(crowd.turns) == 0 and crowd.came == ["a"]


async def test_those_who_gave_up_and_were_passed_over_before_they_ran_again_end_as_they_would_have() -> None:
    """Who gives up is woken a turn of the loop later. In between the one who leaves passes over all of them."""
    crowd = Crowd(Turns())
    first, *late = [crowd.enter(name) for name in "abcd"]
    await settled()
    crowd.gates["a"].set()
    for each in late:  # as a timeout does
        each.cancel()
    await first
    assert [type(each) for each in await asyncio.gather(*late, return_exceptions=True)] == [asyncio.CancelledError] * 3
    assert len(crowd.turns) == 0 and crowd.came == ["a"]


async def test_a_command_that_fails_passes_its_turn_on() -> None:
    turns = Turns()
    with pytest.raises(KeyError):
        async with turns.of("complaint/1", soon()):
            raise KeyError
    assert len(turns) == 0
