"""What is due is decided once: failing rows wait apart, and timed automations wait until the log was read past its instant.

Long, for all of it is one loop: what is due, what failed, and what has a time are told apart side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from spine_log import Author, admin_of, pen, subject_of
from spine_stack import OPEN, TOYS, Stack, Toy, eventually, metadata, open_case, registered

from redress_events.contracts.handling import CaseAccepted
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_events.vocabulary import KEYS
from redress_spine.aggregate import Automation, Context
from redress_spine.messaging import topics
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.log_end import MARGIN
from redress_spine.processing import automations, watch
from redress_spine.processing.clock import monotonic, wall_clock
from redress_spine.processing.projector import Projector
from redress_spine.store.engine import Engine
from redress_spine.store.states import partition_of

BREACH = Automation(
    "breach", due="deadline IS NOT NULL AND NOT own ? 'opened' AND NOT observed ? 'chases'", at="deadline", decide=open_case, index=""
)
DEADLINE = "ALTER TABLE state ADD COLUMN deadline bigint GENERATED ALWAYS AS ((observed->>'registered_at')::bigint) STORED"


async def decided(connection: asyncpg.Connection) -> Mapping[str, list[datetime]]:
    """When this service decided something, by subject."""
    times: dict[str, list[datetime]] = {}
    for row in await connection.fetch("SELECT stream, data FROM events ORDER BY global_position"):
        times.setdefault(row["stream"], []).append(decode(row["data"]).time)
    return times


async def test_a_row_that_fails_or_stays_due_waits_longer_and_longer_while_the_others_go_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automations, "FIRST_RETRY", 0.1)
    authors = [Author(subject_of(n)) for n in range(6)]
    raising, idle, settled = (author.subject for author in authors[:3])
    failing = {raising, idle, settled}

    def decide(toy: Toy, context: Context) -> list[Event]:
        if context.subject not in failing:
            return open_case(toy, context)
        if context.subject == idle:
            return [CaseAccepted(cycle=1, handler="nobody")]  # says something, and stays due
        raise ValueError("the customer's words")

    handling = await stack.engine("handling", automations=[Automation("open", OPEN.due, decide, OPEN.index)])
    connection = await stack.connect("handling")

    async def errors() -> dict[str, Any]:
        rows = await connection.fetch("SELECT subject, error, attempts, retry_at - now() AS wait FROM row_errors")
        return {row["subject"]: row for row in rows}

    async def opened(*subjects: str) -> bool:
        rows = await connection.fetch("SELECT 1 FROM state WHERE subject = ANY ($1) AND (own->>'opened')::int = 1", subjects)
        return len(rows) == len(subjects)

    async with pen(stack) as hand:
        for author in authors[:5]:
            await hand.write(*author.say(registered()))

        async def tried() -> bool:
            found = await errors()
            return set(found) == failing and all(row["attempts"] >= 4 for row in found.values())

        await eventually(tried)
        assert await opened(*(author.subject for author in authors[3:5]))
        found = await errors()
        assert "words" not in str(found) and all("ValueError" in found[subject]["error"] for subject in (raising, settled))
        assert (await handling.measures()).stuck_rows == 3
        assert max(row["wait"] for row in found.values()) > timedelta(seconds=0.3), "the delay does not grow"
        await connection.execute("UPDATE row_errors SET attempts = 100000, retry_at = now()")  # days later
        await hand.write(*authors[5].say(registered()))
        await eventually(lambda: opened(authors[5].subject))

        async def counted() -> bool:
            return all(row["attempts"] > 100000 and row["wait"] > timedelta() for row in (await errors()).values())

        await eventually(counted)
    await handling.decide(settled, open_case, metadata())  # a person does what the loop could not
    failing.clear()
    await connection.execute("UPDATE row_errors SET retry_at = now()")

    async def healed() -> bool:
        return not await errors() and await opened(raising, idle, settled)

    await eventually(healed)
    await connection.close()


async def test_a_row_whose_table_says_after_its_decision_that_it_is_due_is_set_aside(stack: Stack) -> None:
    chased = Automation("chased", due="n", decide=open_case, index="toys_pkey", table=TOYS)  # no case changes how often somebody chased
    await stack.engine("handling", automations=[chased])
    connection = await stack.connect("handling")
    author = Author(subject_of(1))
    async with pen(stack) as hand:
        await hand.write(*author.say(registered(), ComplaintChased(chase=1)))

    async def set_aside() -> list[asyncpg.Record]:
        return await connection.fetch("SELECT subject, error, attempts FROM row_errors")

    (row,) = await eventually(set_aside)
    assert (row["subject"], row["error"]) == (author.subject, "It is still due after its decision.")
    assert len((await decided(connection))[author.subject]) <= 2, "decided again and again"
    await connection.close()


async def test_what_became_due_behind_the_loop_s_back_is_found_by_looking_around(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[OPEN])
    owner, subject = await stack.connect("handling", owner=True), subject_of(7)

    async def sleeps() -> bool:
        """For longer than the test waits: it holds all partitions and has found nothing."""
        return handling.automations._due_back["open"] > monotonic() + 7

    await eventually(sleeps)
    await owner.execute(
        "INSERT INTO state (subject, partition, revision, observed) VALUES ($1, $2, 1, $3)",
        subject,
        partition_of(subject, stack.partitions),
        '{"registered_at": 1772438400000000}',
    )

    async def opened() -> bool:
        return set(await decided(owner)) == {subject}

    await eventually(opened, within=3)
    await owner.close()


async def test_timed_automations_is_decided_once_by_one_replica_after_its_instant_and_not_where_the_log_had_an_answer_in_time(
    stack: Stack,
) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    late, answered = [Author(subject_of(n)) for n in range(6)], [Author(subject_of(n)) for n in range(10, 14)]
    replicas = [await stack.engine("handling", automations=[BREACH]) for _ in range(2)]
    released = asyncio.Event()

    async def both() -> bool:
        return sorted(p for each in replicas for p in each.projector.partitions) == [0, 1, 2, 3] and all(
            each.projector.partitions for each in replicas
        )

    await eventually(both)
    instant = wall_clock() + timedelta(seconds=5)  # all must be observed, and reading held up, before it
    async with pen(stack) as hand:
        for author in (*late, *answered):
            await hand.write(*author.say(registered(), at=instant))

        async def observed() -> bool:
            return bool(await owner.fetchval("SELECT count(*) = 10 FROM state WHERE deadline IS NOT NULL"))

        await eventually(observed)
        for each in replicas:
            stalled(each, released)
        for author in answered:
            await hand.write(*author.say(ComplaintChased(chase=1), at=instant))

    async def past() -> bool:
        return wall_clock() > instant + MARGIN + timedelta(seconds=1)

    await eventually(past)
    times = await decided(owner)
    assert not set(times) & {author.subject for author in answered}, "decided before the log was read"
    released.set()

    async def breached() -> bool:
        return len(await decided(owner)) >= len(late)

    await eventually(breached)
    times = await decided(owner)
    assert set(times) == {author.subject for author in late} and all(len(each) == 1 for each in times.values())
    assert all(at >= instant + MARGIN for each in times.values() for at in each)
    await owner.close()


def stalled(engine: Engine, released: asyncio.Event) -> None:
    """The projector keeps its partitions and reads nothing until released, as behind a slow disk."""
    real = engine.projector.project

    async def project(connection: asyncpg.Connection, batch: Any) -> Any:
        await released.wait()
        return await real(connection, batch)

    engine.projector.project = project  # type: ignore[method-assign]


async def test_after_a_start_timed_automations_waits_until_kafka_has_answered_for_the_settling_time(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    author, started = Author(subject_of(1)), wall_clock()
    async with pen(stack) as hand:
        await hand.write(*author.say(registered(), at=started - timedelta(hours=1)))
    first = await stack.engine("handling", automations=[BREACH], settle=2.0)

    async def breached() -> bool:
        return bool(await decided(owner))

    await eventually(lambda: settled(first, 1.0))
    first._log_end.lost()  # some client saw Kafka away: it settles anew
    lost = wall_clock()
    await eventually(breached)
    assert (await decided(owner))[author.subject][0] >= lost + timedelta(seconds=2)
    await owner.close()


async def settled(engine: Engine, seconds: float) -> bool:
    return engine._log_end.reachable_for >= seconds


async def test_timed_automations_goes_on_and_the_log_is_read_while_the_topic_of_keys_is_gone(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    handling = await stack.engine("handling", automations=[BREACH], settle=2.0)
    keys = stack.prefix + KEYS
    async with admin_of(stack) as admin:
        await admin.delete_topics([keys])

    async def told() -> bool:
        return any(f"Partition 0 of {keys} has no leader, or is not there" in each for each in (await handling.health()).alarms)

    await eventually(told)
    author = Author(subject_of(1))
    async with pen(stack) as hand:
        await hand.write(*author.say(registered(), at=wall_clock() - timedelta(hours=1)))

    async def breached() -> bool:
        return author.subject in await decided(owner)

    await eventually(breached)
    await stack.stop(handling)  # and so it is after a start
    handling = await stack.engine("handling", automations=[BREACH], settle=2.0)
    other = Author(subject_of(2))
    async with pen(stack) as hand:
        await hand.write(*other.say(registered(), at=wall_clock() - timedelta(hours=1)))

    async def both() -> bool:
        return {author.subject, other.subject} == set(await decided(owner))

    await eventually(both)
    await topics.ensure(stack.kafka, partitions=stack.partitions, prefix=stack.prefix)

    async def read() -> bool:
        return TopicPartition(keys, 0) in handling.projector.positions

    await eventually(read)
    await owner.close()


async def test_timed_automations_that_waits_too_long_for_the_log_is_an_alarm_until_it_goes_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automations, "CATCH_UP", 0.1)
    monkeypatch.setattr(watch, "HELD", 0.3)
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    first = Author(subject_of(1))
    before, instant = await stack.engine("handling", automations=[]), wall_clock() - timedelta(hours=1)
    async with pen(stack) as hand:
        await hand.write(*first.say(registered(), at=instant))

        async def observed() -> bool:
            return bool(await owner.fetchval("SELECT count(*) = 1 FROM state WHERE deadline IS NOT NULL"))

        await eventually(observed)
        await stack.stop(before)
        await hand.write(*first.say(ComplaintChased(chase=1), at=instant))
        released, real = asyncio.Event(), Projector.project

        async def stalled(*args: Any) -> Any:
            await released.wait()
            return await real(*args)

        monkeypatch.setattr(Projector, "project", stalled)
        handling = await stack.engine("handling", automations=[BREACH])

        async def alarmed() -> list[str]:
            return [each for each in (await handling.health()).alarms if "Timed automations that are due have waited" in each]

        await eventually(alarmed)
        assert (await handling.measures()).timed_automations_wait_seconds > 0.3
        released.set()

        async def over() -> bool:
            return not await alarmed() and (await handling.measures()).timed_automations_wait_seconds == 0

        await eventually(over)
    await owner.close()


async def test_timed_automations_of_a_projector_that_fails_from_the_start_is_an_alarm(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HELD", 0.3)
    owner = await stack.connect("handling", owner=True)
    await owner.execute(DEADLINE)
    await owner.execute("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'")
    await owner.execute("CREATE TRIGGER full_disk BEFORE INSERT ON consumer_offsets EXECUTE FUNCTION full_disk()")
    handling = await stack.engine("handling", automations=[BREACH])

    async def alarmed() -> list[str]:
        return [each for each in (await handling.health()).alarms if "waited" in each and "projector failed last with DiskFull" in each]

    await eventually(alarmed)
    await owner.execute("DROP TRIGGER full_disk ON consumer_offsets")

    async def over() -> bool:
        return len(handling.projector.partitions) == stack.partitions and not await alarmed()

    await eventually(over)
    await owner.close()
