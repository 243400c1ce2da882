"""An effect on the outside world is done, and done again where nobody can know that it was; what came of it is said once.

Long, for each fault is a story of its own, and all have one other side.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from spine_log import Author, pen, rebuild, subject_of, verified
from spine_outside import OPENING, desk, dies_once, opening, where_it_runs
from spine_process import EFFECT_DONE, replica
from spine_stack import Stack, Toy, eventually, registered

from redress_spine.aggregate import Context
from redress_spine.processing.clock import monotonic
from redress_spine.processing.effects import NoSuchEffect, lease
from redress_spine.processing.reactor import Effect, EffectAttempt, Never


async def told(stack: Stack, subjects: Sequence[str]) -> None:
    """These complaints are registered, so that their effects are due."""
    authors = [Author(subject) for subject in subjects]
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))


async def events(stack: Stack) -> dict[str, int]:
    """How many cases handling opened, by subject."""
    connection = await stack.connect("handling")
    rows = await connection.fetch("SELECT stream, count(*) AS n FROM events GROUP BY 1")
    await connection.close()
    return {row["stream"]: row["n"] for row in rows}


async def effects(stack: Stack, *columns: str) -> list[tuple[Any, ...]]:
    connection = await stack.connect("handling")
    rows = await connection.fetch(f"SELECT {', '.join(columns)} FROM effects ORDER BY position")
    await connection.close()
    return [tuple(row) for row in rows]


async def lease_ends(stack: Stack) -> None:
    connection = await stack.connect("handling")
    await connection.execute("UPDATE effects SET leased_until = now() WHERE status = 'waiting' AND owner IS NOT NULL")
    await connection.close()


def key_of(subject: str) -> str:
    return f"open/{subject.partition('/')[2]}"


async def each_once(stack: Stack, subjects: Sequence[str]) -> bool:
    return await events(stack) == dict.fromkeys(subjects, 1)


async def own(stack: Stack, n: int) -> bool:
    return await effects(stack, "status") == [("done",)] * n


async def test_what_is_due_is_done_by_two_replicas_once_with_its_key_and_never_twice_at_the_same_time(stack: Stack) -> None:
    subjects = [subject_of(n) for n in range(24)]
    async with desk() as other:

        async def slowly(key: str, times: int) -> int:
            await asyncio.sleep(0.05)
            return 200

        other.answers = slowly
        for _ in range(2):
            await stack.engine("handling", automations=[], reactors=[opening(other.address, at_once=3, per_target=4)])
        await told(stack, subjects)
        await eventually(lambda: each_once(stack, subjects))
        await eventually(lambda: own(stack, 24))
    assert other.metadata == dict.fromkeys(map(key_of, subjects), 1) and not other.overlaps
    assert 1 < other.most <= 4, "the other side got more, or no more than one, at a time"
    for engine in list(stack.engines):
        await stack.stop(engine)
    await verified(stack, "handling")


async def test_killed_between_effect_and_event_it_is_done_again_with_the_same_key_and_said_once(stack: Stack) -> None:
    subject = subject_of(1)
    async with desk() as other:
        async with replica(stack, "handling", hold=EFFECT_DONE, outside=other.address) as killed:
            await told(stack, [subject])
            await killed.holds()
            await killed.kill()
        assert other.metadata == {key_of(subject): 1} and await events(stack) == {}
        handling = await stack.engine("handling", automations=[], reactors=[opening(other.address)])

        async def looked() -> bool:
            return len(handling.projector.partitions) == 4 and handling.performing.progress["opening"] > started

        started = asyncio.get_running_loop().time()
        await eventually(looked, within=60)
        assert other.metadata == {key_of(subject): 1}, "somebody else's lease was taken"
        await lease_ends(stack)
        await eventually(lambda: each_once(stack, [subject]))
        await eventually(lambda: own(stack, 1))
    assert other.metadata == {key_of(subject): 2}
    await stack.stop(handling)
    await verified(stack, "handling")


async def test_a_zombie_that_did_it_and_wakes_after_its_lease_says_nothing_a_second_time(stack: Stack) -> None:
    subject = subject_of(2)
    async with desk() as other, replica(stack, "handling", hold=EFFECT_DONE, stop=True, outside=other.address) as zombie:
        await told(stack, [subject])
        await zombie.holds()
        handling = await stack.engine("handling", automations=[], reactors=[opening(other.address)])
        await lease_ends(stack)
        await eventually(lambda: each_once(stack, [subject]), within=60)
        zombie.go_on()
        await zombie.says("finished an effect")
        assert await each_once(stack, [subject]) and await own(stack, 1)
        await stack.stop(handling)
    assert other.metadata == {key_of(subject): 2}


async def test_a_replica_that_stood_still_between_lease_and_effect_does_not_begin(stack: Stack) -> None:
    async with desk() as other:
        reactor = opening(other.address, at_once=0)  # leases nothing by itself
        handling = await stack.engine("handling", automations=[], reactors=[reactor])
        await told(stack, [subject_of(1)])

        async def wanted() -> bool:
            return len(await effects(stack, "key")) == 1

        await eventually(wanted)
        connection = await stack.connect("handling")
        (leased,) = await lease(connection, reactor, handling.performing._owner, 1)
        assert await lease(connection, reactor, "somebody else", 1) == []
        await connection.close()
        stood_still = (reactor.lease - reactor.timeout).total_seconds() + 1
        await handling.performing.perform(reactor, leased, monotonic() - stood_still)
        assert not other.metadata
        await handling.performing.perform(reactor, leased, monotonic())
        assert other.metadata == {key_of(subject_of(1)): 1} and await each_once(stack, [subject_of(1)])


async def test_a_side_that_did_it_and_whose_answer_was_lost_is_asked_again_under_the_same_key(stack: Stack) -> None:
    subject = subject_of(3)
    async with desk() as other:

        async def lost(key: str, times: int) -> int:
            if times == 1:
                raise ConnectionResetError
            return 200

        other.answers = lost
        await stack.engine("handling", automations=[], reactors=[opening(other.address)])
        await told(stack, [subject])
        await eventually(lambda: each_once(stack, [subject]))
        await eventually(lambda: own(stack, 1))
    assert other.metadata == {key_of(subject): 2}
    assert (await effects(stack, "attempts", "error")) == [(2, None)]


async def test_a_slow_target_is_timed_out_and_keeps_nobody_else_waiting(stack: Stack) -> None:
    slow, quick = [subject_of(n) for n in range(6)], [subject_of(n) for n in range(6, 10)]
    released = asyncio.Event()
    async with desk() as other:

        async def answers(key: str, times: int) -> int:
            if key in map(key_of, slow):
                await released.wait()
            return 200

        def wanted(toy: Toy, known: Any, context: Context) -> list[Effect]:
            (effect,) = OPENING.wanted(toy, known, context)
            return [replace(effect, target="slow" if context.subject in slow else "quick")]

        other.answers = answers
        how: dict[str, Any] = {"wanted": wanted, "at_once": 3, "per_target": 2, "timeout": timedelta(seconds=1)}
        handling = await stack.engine("handling", automations=[], reactors=[opening(other.address, **how)])
        await told(stack, slow)

        async def stuck() -> bool:
            return sum(other.at_once.values()) == 2

        await eventually(stuck)
        await told(stack, quick)
        await eventually(lambda: each_once(stack, quick))

        async def timed_out() -> bool:
            return ("It took longer than 1 s.",) in await effects(stack, "error")

        await eventually(timed_out)
        assert (await handling.health()).ready
        released.set()
        await eventually(lambda: each_once(stack, slow + quick))


async def test_a_target_gets_its_share_of_the_pool_and_no_more(stack: Stack) -> None:
    slow, quick = [subject_of(n) for n in range(5)], [subject_of(n) for n in range(5, 7)]

    def wanted(toy: Toy, known: Any, context: Context) -> list[Effect]:
        (effect,) = OPENING.wanted(toy, known, context)
        return [replace(effect, target="slow" if context.subject in slow else "quick")]

    reactor = opening("", wanted=wanted, at_once=0, per_target=2)  # leases nothing by itself
    await stack.engine("handling", automations=[], reactors=[reactor])
    await told(stack, [*slow, *quick])

    async def all_wanted() -> bool:
        return len(await effects(stack, "key")) == 7

    await eventually(all_wanted)
    connection = await stack.connect("handling")
    first = await lease(connection, reactor, "one", 10)
    assert sorted(leased.effect.target for leased in first) == ["quick", "quick", "slow", "slow"]
    assert await lease(connection, reactor, "another", 10) == []  # what others are at counts
    await lease_ends(stack)
    assert [leased.effect.target for leased in await lease(connection, reactor, "another", 3)].count("slow") <= 2
    await connection.close()


async def test_what_fails_too_often_is_a_dead_letter_that_an_operator_retries_or_drops(stack: Stack) -> None:
    subjects = [subject_of(1), subject_of(2)]
    async with desk() as other:

        async def down(key: str, times: int) -> int:
            return 503

        other.answers = down
        handling = await stack.engine("handling", automations=[], reactors=[opening(other.address)])
        await told(stack, subjects)

        async def dead() -> bool:
            return len(await handling.dead_effects()) == 2

        await eventually(dead)
        assert {each.error for each in await handling.dead_effects()} == {"The desk answered 503."}
        assert set(other.metadata.values()) == {4} and (await handling.measures()).dead_effects == 2
        assert await events(stack) == {}
        other.answers = None
        letters = {each.subject: each for each in await handling.dead_effects()}
        await handling.retry_effect("opening", letters[subjects[0]].key)
        await eventually(lambda: each_once(stack, subjects[:1]))
        await handling.drop_effect("opening", letters[subjects[1]].key, "ops:wang", "the desk was closed")
        with pytest.raises(NoSuchEffect):
            await handling.retry_effect("opening", letters[subjects[1]].key)
        with pytest.raises(NoSuchEffect):
            await handling.drop_effect("opening", letters[subjects[0]].key, "ops:wang", "done already")
        assert await handling.dead_effects() == []
    assert sorted(await effects(stack, "status", "who")) == [("done", None), ("dropped", "ops:wang")]


async def test_a_rebuild_and_what_is_folded_anew_perform_nothing(stack: Stack, folder: Path) -> None:
    subjects = [subject_of(n) for n in range(5)]
    async with desk() as other:

        async def one_is_refused(key: str, times: int) -> int:
            return 503 if key == key_of(subjects[0]) else 200

        other.answers = one_is_refused
        handling = await stack.engine("handling", automations=[], reactors=[opening(other.address)])
        await told(stack, subjects)

        async def settled() -> bool:
            return sorted(await effects(stack, "status")) == [("dead",), *[("done",)] * 4]

        await eventually(settled)
        before = dict(other.metadata)
        assert (await rebuild(stack, "handling", folder)).states == 5
        owner = await stack.connect("handling", owner=True)
        schema = await owner.fetchval("SELECT schema FROM live")

        async def looked_at_anew() -> bool:
            return bool(await owner.fetchval(f"SELECT count(*) = 1 FROM {schema}.planned"))

        await eventually(looked_at_anew)  # the dead one is due still, and is wanted once more
        await told(stack, [subject_of(9)])
        await eventually(lambda: each_once(stack, [*subjects[1:], subject_of(9)]))
        await owner.close()
        assert await settled() is False and len(await handling.dead_effects()) == 1
    assert {key: times for key, times in other.metadata.items() if key in before} == before


async def test_what_is_not_wanted_any_more_is_dropped_and_what_never_works_is_given_up_at_once(stack: Stack) -> None:
    unwanted, never = subject_of(1), subject_of(2)
    gave_up: list[str] = []

    async def perform(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
        raise Never("no-such-desk", "There is no such desk.")

    def given_up(toy: Toy, effect: Effect, code: str, context: Context) -> list[Any]:
        gave_up.append(code)
        return []

    reactor = replace(OPENING, perform=perform, given_up=given_up, still=lambda toy, effect: effect.subject != unwanted)
    await stack.engine("handling", automations=[], reactors=[reactor])
    await told(stack, [unwanted, never])

    async def settled() -> bool:
        return sorted(await effects(stack, "status", "attempts")) == [("dead", 1), ("dropped", 1)]

    await eventually(settled)
    assert gave_up == ["no-such-desk"]


async def test_what_computes_runs_beside_the_loop_in_a_thread_or_a_process(stack: Stack) -> None:
    given: list[str] = []
    subjects: list[str] = []

    def noted(toy: Toy, effect: Effect, result: Mapping[str, Any], context: Context) -> list[Any]:
        given.append(result["department"])
        return OPENING.succeeded(toy, effect, result, context) if OPENING.succeeded else []

    for n, process in enumerate((False, True)):
        reactor = replace(OPENING, perform=where_it_runs, succeeded=noted, process=process)
        assert reactor.computes and not OPENING.computes
        engine = await stack.engine("handling", automations=[], reactors=[reactor])
        await told(stack, [subject_of(n)])
        subjects.append(subject_of(n))
        await eventually(lambda: each_once(stack, subjects), within=60)
        await stack.stop(engine)
    (thread_pid, thread_main), (process_pid, _) = (each.split() for each in given)
    assert (thread_pid, thread_main) == (str(os.getpid()), "False") and process_pid != str(os.getpid())


async def test_a_computation_that_takes_longer_than_its_lease_keeps_it(stack: Stack) -> None:
    begun, go_on = threading.Event(), threading.Event()
    times: list[int] = []

    def perform(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
        times.append(attempt.number)
        begun.set()
        go_on.wait(30)
        return {"department": "network"}

    reactor = replace(OPENING, perform=perform, timeout=timedelta(milliseconds=100))
    await stack.engine("handling", automations=[], reactors=[reactor])
    await told(stack, [subject_of(1)])
    await eventually(lambda: asyncio.to_thread(begun.is_set))
    (first,) = await effects(stack, "leased_until")

    async def prolonged() -> bool:
        return bool((await effects(stack, "leased_until"))[0][0] > first[0] + timedelta(milliseconds=150))

    await eventually(prolonged)
    go_on.set()
    await eventually(lambda: each_once(stack, [subject_of(1)]))
    assert times == [1]


async def test_a_process_that_dies_is_replaced(stack: Stack, folder: Path) -> None:
    def wanted(toy: Toy, known: Any, context: Context) -> list[Effect]:
        return [replace(OPENING.wanted(toy, known, context)[0], data={"died": str(folder / "died")})]

    await stack.engine("handling", automations=[], reactors=[replace(OPENING, perform=dies_once, wanted=wanted, process=True)])
    await told(stack, [subject_of(1)])
    await eventually(lambda: each_once(stack, [subject_of(1)]), within=60)
    assert await effects(stack, "attempts") == [(2,)]
