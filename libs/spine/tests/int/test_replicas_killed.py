"""A replica is killed by SIGKILL, or stopped by SIGSTOP and woken as a zombie, at its worst moment: all is there, once, in order.

The replicas here are processes (`spine_process`). After each fault log, journal and state are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from spine_log import on_the_log, verified
from spine_process import BATCH_COMMITTED, BATCH_READ, BATCH_SAVED, PAGE_READ, PAGE_SENT, replica
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import LIFECYCLE
from redress_spine.messaging.envelope import decode
from redress_spine.store.engine import Engine
from redress_spine.store.states import one

TAKEN_OVER = 60.0  # seconds: a lock is free after 5, a group knows after 3, a loaded machine takes its time


async def register(intake: Engine, keys: Sequence[str]) -> list[str]:
    return [(await intake.create("complaint", lambda context: [registered()], metadata(key)))[0].subject for key in keys]


async def chase(intake: Engine, subjects: Sequence[str], times: int) -> None:
    for subject in subjects:
        for _ in range(times):
            await intake.decide(subject, lambda toy, context: [ComplaintChased(chase=toy.own.chases + 1)], metadata())


async def observed(stack: Stack, subjects: Sequence[str], chases: int) -> bool:
    """Handling folded each chase once, and intake each opening once."""
    for source, facet, times in (("handling", "chases", chases), ("intake", "opened", 1)):
        connection = await stack.connect(source)
        rows = await connection.fetch("SELECT subject, coalesce((observed->>$1)::int, 0) AS times FROM state", facet)
        await connection.close()
        if {row["subject"]: row["times"] for row in rows} != dict.fromkeys(subjects, times):
            return False
    return True


async def equal_after(stack: Stack, subjects: Sequence[str], chases: int) -> int:
    """Quiet, then log = journal and state = fold(log) in both services; how many records intake sent twice."""
    await eventually(lambda: observed(stack, subjects, chases), within=TAKEN_OVER)
    for engine in list(stack.engines):
        await stack.stop(engine)
    await verified(stack, "handling")
    return (await verified(stack, "intake")).duplicates


async def checkpoint(stack: Stack) -> tuple[int, int]:
    """Where intake's relay is: transaction and position, growing."""
    connection = await stack.connect("intake")
    row = await one(connection, "SELECT transaction_id::text::bigint, global_position FROM relay_checkpoint")
    await connection.close()
    return tuple(row)


async def versions(stack: Stack) -> list[tuple[str, int]]:
    """Intake's records as they stand on the log, partition by partition."""
    events = [decode(record.value) for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]
    return [(event.subject, event.version) for event in events if event.source == "intake"]


async def leads(engine: Engine) -> bool:
    return engine.relay.leader


async def reads(engine: Engine, partitions: int) -> bool:
    return len(engine.projector.partitions) == partitions


async def test_a_relay_killed_between_acknowledgement_and_checkpoint_doubles_its_page_on_the_log_and_nowhere_else(stack: Stack) -> None:
    async with replica(stack, "intake", hold=PAGE_SENT) as leader:
        await leader.says("leads")
        intake, _handling = await stack.engine("intake"), await stack.engine("handling")
        subjects = await register(intake, [f"before-{n}" for n in range(8)])
        held = await leader.holds()
        assert len(await versions(stack)) >= held and (await checkpoint(stack))[1] == 0, "it was to hold between the two"
        await leader.kill()
        await chase(intake, subjects, 2)
        await eventually(lambda: leads(intake), within=TAKEN_OVER)
        assert await equal_after(stack, subjects, 2) >= held
    firsts = list(dict.fromkeys(await versions(stack)))
    assert [each for each in firsts if each[0] == subjects[0]] == [(subjects[0], version) for version in (1, 2, 3)], "out of order"


@pytest.mark.parametrize("where", [BATCH_READ, BATCH_SAVED, BATCH_COMMITTED])
async def test_a_projector_killed_in_the_middle_of_a_batch_leaves_each_record_to_be_folded_once(stack: Stack, where: str) -> None:
    intake = await stack.engine("intake")
    async with replica(stack, "handling", hold=where) as reading:
        subjects = await register(intake, [f"k{n}" for n in range(8)])
        await chase(intake, subjects, 2)
        held = await reading.holds()
        connection = await stack.connect("handling")
        folded = await connection.fetchval("SELECT coalesce(sum(next), 0) FROM consumer_offsets WHERE topic LIKE '%lifecycle%'")
        rows = await connection.fetchval("SELECT count(*) FROM state")
        await connection.close()
        assert (folded, rows > 0) == ((held, True) if where == BATCH_COMMITTED else (0, False)), "it was to hold elsewhere"
        await reading.kill()
    await stack.engine("handling")
    assert await equal_after(stack, subjects, 2) == 0


@pytest.mark.parametrize("where", ["", PAGE_READ], ids=["idle", "with a page in its hands"])
async def test_a_stopped_leader_is_replaced_and_wakes_as_a_zombie_that_moves_no_checkpoint(stack: Stack, where: str) -> None:
    async with replica(stack, "intake", hold=where, stop=True) as zombie:
        await zombie.says("leads")
        intake, _handling = await stack.engine("intake"), await stack.engine("handling")
        subjects = await register(intake, [f"before-{n}" for n in range(8)])
        if where:
            held = await zombie.holds()
            assert await versions(stack) == [], "it was to hold before it sends"
        else:
            held = 0
            await eventually(lambda: on_log(stack, 8))
            zombie.stop()
        await chase(intake, subjects, 1)
        await eventually(lambda: leads(intake), within=TAKEN_OVER)
        await eventually(lambda: observed(stack, subjects, 1), within=TAKEN_OVER)
        before = await moved_to_the_end(stack)
        zombie.go_on()
        await zombie.says("relay-failed")  # its session, and with it the lock, was taken from it
        await eventually(lambda: on_log(stack, 16 + held))
        assert await checkpoint(stack) == before, "a zombie moved the checkpoint"
        assert intake.relay.leader
        await chase(intake, subjects, 1)
        assert await equal_after(stack, subjects, 2) >= held


async def on_log(stack: Stack, records: int) -> bool:
    return len(await versions(stack)) >= records


async def moved_to_the_end(stack: Stack) -> tuple[int, int]:
    """The checkpoint, once it is at the journal's end."""
    connection = await stack.connect("intake")
    end = await one(connection, "SELECT transaction_id::text::bigint, global_position FROM events ORDER BY 1 DESC, 2 DESC LIMIT 1")
    await connection.close()

    async def there() -> Any:
        return await checkpoint(stack) == tuple(end)

    await eventually(there)
    return tuple(end)


async def test_a_stopped_projector_whose_partitions_were_read_by_another_folds_nothing_when_it_wakes(stack: Stack) -> None:
    intake = await stack.engine("intake")
    async with replica(stack, "handling", hold=BATCH_READ, stop=True) as zombie:
        subjects = await register(intake, [f"k{n}" for n in range(8)])
        await zombie.holds()
        other = await stack.engine("handling")
        await eventually(lambda: reads(other, stack.partitions), within=TAKEN_OVER)
        await chase(intake, subjects, 2)
        await eventually(lambda: observed(stack, subjects, 2), within=TAKEN_OVER)
        zombie.go_on()
        await zombie.says("fence-lost")
        await chase(intake, subjects, 1)
        await eventually(lambda: observed(stack, subjects, 3), within=TAKEN_OVER)
    assert await equal_after(stack, subjects, 3) == 0
