"""Kafka or PostgreSQL dies, or the relay before it could note what it sent: all is there afterwards, once, in order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from spine_log import on_the_log, verified
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.provision import Databases, provision
from redress_spine.messaging import topics
from redress_spine.store.engine import Engine, Unavailable


@pytest.fixture
async def own_postgres(folder: Path) -> AsyncIterator[Postgres]:
    postgres = Postgres(folder / "postgres")
    await asyncio.to_thread(postgres.start)
    yield postgres
    await asyncio.to_thread(postgres.stop)


async def register(intake: Engine, key: str) -> str:
    return (await intake.create("complaint", lambda context: [registered()], metadata(key)))[0].subject


async def chase(intake: Engine, subject: str, times: int) -> None:
    for _ in range(times):
        await intake.decide(subject, lambda toy, context: [ComplaintChased(chase=toy.own.chases + 1)], metadata())


async def all_observed(stack: Stack, subjects: Sequence[str], chases: int) -> bool:
    """Handling observed all of it, and intake learned of every case."""
    for source, facet, times in (("handling", "chases", chases), ("intake", "opened", 1)):
        connection = await stack.connect(source)
        rows = await connection.fetch("SELECT subject FROM state WHERE coalesce((observed->>$1)::int, 0) = $2", facet, times)
        await connection.close()
        if {row["subject"] for row in rows} != set(subjects):
            return False
    return True


async def test_with_kafka_killed_complaints_are_still_taken_and_all_arrives_afterwards(own_stack: Stack, own_kafka: Kafka) -> None:
    stack = own_stack
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [await register(intake, f"before-{n}") for n in range(5)]
    under_load = asyncio.gather(*(register(intake, f"during-{n}") for n in range(20)))
    await asyncio.to_thread(own_kafka.kill)
    subjects += await under_load
    await stack.stop(intake)
    intake = await stack.engine("intake")  # a start without Kafka
    subjects += [await register(intake, f"after-{n}") for n in range(10)]
    for subject in subjects:
        await chase(intake, subject, 3)
    assert (await intake.read(subjects[-1])).state.own.chases == 3
    assert (await intake.measures()).backlog_events > 0
    await asyncio.to_thread(own_kafka.start)
    await eventually(lambda: all_observed(stack, subjects, 3), within=60)
    for engine in (intake, handling):
        await stack.stop(engine)
    await verified(stack, "intake")
    await verified(stack, "handling")


async def test_with_postgresql_killed_callers_are_told_and_afterwards_everything_works_again(
    own_postgres: Postgres, kafka_address: str
) -> None:
    async def database(source: str) -> Databases:
        return await provision(own_postgres.admin_dsn, source, database=f"test_{source}_{uuid.uuid4().hex[:8]}")

    stack = Stack(kafka_address, database)
    await topics.ensure(stack.kafka, partitions=stack.partitions, prefix=stack.prefix)
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [await register(intake, f"before-{n}") for n in range(5)]
    under_load = [asyncio.create_task(register(intake, f"during-{n}")) for n in range(30)]
    await under_load[0]
    await asyncio.to_thread(own_postgres.kill)
    answers = await asyncio.gather(*under_load, return_exceptions=True)
    assert all(isinstance(answer, str | Unavailable) for answer in answers), answers
    with pytest.raises(Unavailable):
        await register(intake, "while it is away")
    with pytest.raises(Unavailable):
        await intake.read(subjects[0])
    assert not (await intake.health()).ready
    await asyncio.to_thread(own_postgres.start)

    async def again(key: str) -> str | None:
        try:
            return await register(intake, key)
        except Unavailable:
            return None

    said = {n: answer for n, answer in enumerate(answers) if isinstance(answer, str)}
    retried = [await eventually(lambda n=n: again(f"during-{n}")) for n in range(30)]  # type: ignore[misc]
    assert all(retried[n] == answer for n, answer in said.items()), "an answer that was given does not hold"
    subjects += retried
    await eventually(lambda: all_observed(stack, subjects, 0), within=60)
    for engine in (intake, handling):
        await stack.stop(engine)
    await verified(stack, "intake")
    await verified(stack, "handling")


async def test_a_relay_that_dies_between_sending_and_noting_it_doubles_records_and_no_state(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    real, dead = intake.relay._send, asyncio.Event()

    async def send_and_die(made: Any) -> None:
        records = list(made)
        await real(records)
        if records[0][0].endswith(LIFECYCLE):
            dead.set()
            await asyncio.Future()

    intake.relay._send = send_and_die  # type: ignore[assignment]
    subjects = [await register(intake, f"k{n}") for n in range(8)]
    await chase(intake, subjects[0], 3)
    await asyncio.wait_for(dead.wait(), 20)
    await stack.stop(intake)
    before = len(await on_the_log(stack, LIFECYCLE, stack.partitions))
    assert before > 0
    intake = await stack.engine("intake")
    for subject in subjects:
        await chase(intake, subject, 3 if subject != subjects[0] else 0)
    await eventually(lambda: all_observed(stack, subjects, 3))
    for engine in (intake, handling):
        await stack.stop(engine)
    await verified(stack, "handling")
    assert (await verified(stack, "intake")).duplicates > 0, "nothing was sent twice: the death did not fall between sending and noting"
