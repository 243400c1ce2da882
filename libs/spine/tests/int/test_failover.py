"""PostgreSQL fails over to its standby, for real: nothing is decided on a journal that may be older than the log, until it is adopted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from spine_log import adopted, fresh, on_the_log, verified
from spine_servers import moved, on_either, pair, stack_on
from spine_stack import Stack, eventually, metadata, registered

from redress_events.vocabulary import LIFECYCLE
from redress_local.copies import caught_up, cut_off, promote, synchronous
from redress_local.postgres import Postgres
from redress_spine.admin.open_journals import Journal
from redress_spine.messaging import topics
from redress_spine.store import connections
from redress_spine.store.commit import commit
from redress_spine.store.database import RESTORED
from redress_spine.store.engine import Engine, JournalRestored, Unavailable, Unknown
from redress_spine.store.saving import fence

STATE = {"search_path": "fold1_1,public"}


@pytest.fixture
def two() -> Iterator[tuple[Postgres, Postgres]]:
    with pair() as made:
        yield made


@asynccontextmanager
async def stack_of(primary: Postgres, copy: Postgres, kafka: str) -> AsyncIterator[Stack]:
    """Its replicas reach whichever server can be written."""
    stack = stack_on(primary, kafka)
    await topics.ensure(kafka, partitions=stack.partitions, prefix=stack.prefix)
    for source in ("intake", "handling"):
        stack.databases[source] = on_either(await stack.database(source), primary, copy)
    try:
        yield stack
    finally:
        await stack.end()


async def register(engine: Engine, *keys: str) -> list[str]:
    return [(await engine.create("complaint", lambda context: [registered()], metadata(key)))[0].subject for key in keys]


async def on_log(stack: Stack, count: int) -> bool:
    return len(await on_the_log(stack, LIFECYCLE, stack.partitions)) >= count


async def refused(engine: Engine) -> bool:
    """Whether it says why; while the dead server is still asked it says only that the database is away."""
    try:
        await register(engine, "refused")
    except JournalRestored as error:
        return "redress adopt intake" in str(error)
    except Unavailable:
        return False
    raise AssertionError("a command was taken")


async def test_after_an_asynchronous_failover_no_session_takes_a_command_until_what_was_lost_is_adopted(
    two: tuple[Postgres, Postgres], kafka_address: str
) -> None:
    primary, copy = two
    async with stack_of(primary, copy, kafka_address) as stack:
        intake = await stack.engine("intake")
        kept = await register(intake, "kept")
        caught_up(primary, copy)
        here = moved(stack.databases["intake"], copy).owner_dsn
        before = await connections.connect(here, server_settings=STATE)  # a session that knows nothing of a promotion
        cut_off(copy)
        lost = await register(intake, "lost 1", "lost 2")
        await eventually(lambda: on_log(stack, 3))
        shipping = await Journal.open("intake", 0, stack.databases["intake"].owner_dsn, stack.databases["intake"].app_dsn)
        gone = await register(intake, "gone")  # answered, and nowhere else: nobody ships any more

        primary.kill()
        shipping.connection.terminate()
        promote(copy)
        at_once = await connections.connect(here, server_settings=STATE)
        for session in (before, at_once):
            with pytest.raises(asyncpg.PostgresError) as raised:
                await commit(session, [fresh(1)])
            assert raised.value.sqlstate == RESTORED
            with pytest.raises(asyncpg.PostgresError) as raised:  # what came back of our events was compared with the other journal
                await fence(session, [], 1)
            assert raised.value.sqlstate == RESTORED
        await eventually(lambda: refused(intake))
        health = await intake.health()
        assert not health.ready
        assert "redress adopt intake" in health.reasons[0]
        with pytest.raises(JournalRestored):
            await intake.measures()
        with pytest.raises(JournalRestored):  # it would say that there is no such complaint
            await intake.read(lost[0])
        copy.sql("CHECKPOINT")  # from here on the control file has the new timeline too
        assert await refused(intake)

        stack.databases["intake"] = moved(stack.databases["intake"], copy)
        own = await adopted(stack, "intake")
        assert (own.events.total(), len(own.streams), own.keys, own.rebased) == (2, 2, 2, False)
        await eventually(lambda: ready(intake))
        for subject in (*kept, *lost):
            assert await intake.open(subject, ["intake/1/text"]) == {"intake/1/text": "no signal since Sunday"}
        with pytest.raises(Unknown):
            await intake.read(gone[0])
        again = await register(intake, "kept", "lost 1", "new")
        assert again[0] == kept[0]
        assert again[1] not in lost, "a key that was not replicated is on no log: whoever repeats has two complaints"
        await eventually(lambda: on_log(stack, 5))
        assert (await verified(stack, "intake")).journal_events == 5
        for session in (before, at_once):
            assert [each.result for each in await commit(session, [fresh(2 + (session is before))])] == ["committed"]
            await session.close()


async def ready(engine: Engine) -> bool:
    return (await engine.health()).ready


async def test_after_a_synchronous_failover_nothing_is_missing_and_an_adoption_lets_commands_in(
    two: tuple[Postgres, Postgres], kafka_address: str
) -> None:
    primary, copy = two
    synchronous(primary)
    async with stack_of(primary, copy, kafka_address) as stack:
        intake = await stack.engine("intake")
        kept = await register(intake, "1", "2", "3")  # each is answered once the standby has it on disk
        primary.kill()
        promote(copy)
        await eventually(lambda: refused(intake))
        stack.databases["intake"] = moved(stack.databases["intake"], copy)
        own = await adopted(stack, "intake")
        assert (own.events.total(), own.was_at_home) == (0, False)
        await eventually(lambda: ready(intake))
        assert await register(intake, "1", "2", "3") == kept
        await register(intake, "new")
        await eventually(lambda: on_log(stack, 4))
        await verified(stack, "intake")
