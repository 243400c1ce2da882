"""One relay leads, another takes over, a deposed one begins where the checkpoint is; a page that fails is sent again in order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import asyncpg
import pytest
from spine_log import idle, made_anew, on_the_log, verified
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintSupplemented
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.messaging import relay
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.relay import read_page
from redress_spine.processing.projector import Projector
from redress_spine.store.engine import Engine

LARGE = 480_000  # characters: 640 kB on the log, so that no two of them fit into one batch


async def versions(stack: Stack) -> list[int]:
    return [decode(record.value).version for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]


async def test_one_of_two_replicas_leads_and_the_other_takes_over(stack: Stack) -> None:
    one, two = await stack.engine("intake"), await stack.engine("intake")
    await one.create("complaint", lambda context: [registered()], metadata("k1"))
    await eventually(lambda: sent(stack, [1]))
    await idle(one)  # the leader has noted it: otherwise the other one sends it again
    leader, other = (one, two) if one.relay.leader else (two, one)
    assert leader.relay.leader and not other.relay.leader
    await stack.stop(leader)
    await other.create("complaint", lambda context: [registered()], metadata("k2"))
    await eventually(lambda: sent(stack, [1, 1]))
    assert other.relay.leader


async def sent(stack: Stack, wanted: list[int]) -> bool:
    return await versions(stack) == wanted


async def test_a_leader_whose_checkpoint_was_moved_does_not_move_it_again_and_begins_there(stack: Stack) -> None:
    intake = await stack.engine("intake")
    connection = await stack.connect("intake")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("k1"))
    await eventually(lambda: sent(stack, [1]))

    async def noted() -> bool:
        return bool(await connection.fetchval("SELECT global_position = 1 FROM relay_checkpoint"))

    await eventually(noted)
    await connection.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")
    await supplement(intake, seen.subject, "more")
    await eventually(lambda: sent(stack, [1, 2, 1, 2]))
    await connection.close()


async def test_a_leader_that_has_nothing_to_do_notices_that_its_checkpoint_was_moved(stack: Stack) -> None:
    intake = await stack.engine("intake")
    connection = await stack.connect("intake")
    await intake.create("complaint", lambda context: [registered()], metadata("k1"))

    async def idle() -> bool:
        return intake.relay.leader and (await intake.measures()).backlog_events == 0

    await eventually(idle)
    await connection.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")
    await eventually(lambda: sent(stack, [1, 1]))
    await eventually(idle)
    assert await versions(stack) == [1, 1], "it was sent again and again"
    await connection.close()
    await stack.stop(intake)
    await verified(stack, "intake")


async def test_while_all_is_above_the_watermark_it_asks_for_one_row(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def reading(connection: asyncpg.Connection, after: tuple[str, int], most: int) -> tuple[list[Any], bool]:
        found = await read_page(connection, after, most)
        if found == ([], True):
            asked.append(most)
        return found

    monkeypatch.setattr(relay, "read_page", reading)
    intake = await stack.engine("intake")
    older = await stack.connect("intake")
    await (transaction := older.transaction()).start()
    await older.execute("SELECT pg_current_xact_id()")
    for n in range(3):
        await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}"))

    async def stuck() -> bool:
        return len(asked) > 10

    await eventually(stuck)
    assert asked[0] == relay.PAGE and set(asked[1:]) == {1}
    await transaction.commit()
    await eventually(lambda: sent(stack, [1, 1, 1]))
    await older.close()


async def test_under_a_load_without_a_pause_it_still_looks_at_what_others_wrote(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "POLL_BUSY", 60.0)  # it looks when it is woken alone: each look finds an event
    intake = await stack.engine("intake")
    connection = await stack.connect("intake")

    async def without_a_pause() -> None:
        n = 0
        while True:
            n += 1
            await intake.create("complaint", lambda context: [registered()], metadata(f"load-{n}"))

    load = asyncio.create_task(without_a_pause())
    await eventually(lambda: connection.fetchval("SELECT global_position > 20 FROM relay_checkpoint"))
    await connection.execute("UPDATE relay_checkpoint SET keys_from = ''")
    await eventually(lambda: connection.fetchval("SELECT keys_from IS NULL FROM relay_checkpoint"))
    assert not load.done()
    load.cancel()
    await asyncio.wait([load])
    await connection.close()


async def test_who_is_stopped_in_order_sends_no_page_twice(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "POLL_BUSY", 60.0)
    intake = await stack.engine("intake")
    await intake.create("complaint", lambda context: [registered()], metadata("k1"))
    await eventually(lambda: sent(stack, [1]))
    await stack.stop(intake)
    connection = await stack.connect("intake")
    assert await connection.fetchval("SELECT global_position > 0 FROM relay_checkpoint")
    await connection.close()


async def test_what_its_own_relay_sends_is_not_looked_for_in_the_journal(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[tuple[str, int]] = []
    journal = Projector._journal

    async def looking(self: Projector, connection: asyncpg.Connection, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        looked_for.extend(wanted)
        return await journal(self, connection, wanted)

    monkeypatch.setattr(Projector, "_journal", looking)
    intake = await stack.engine("intake")

    async def reads() -> bool:
        return len(intake.projector.partitions) == stack.partitions

    await eventually(reads)
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("k1"))
    await idle(intake)
    assert not looked_for and not intake.projector._sent
    connection = await stack.connect("intake")
    await connection.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")  # it comes twice
    await eventually(lambda: sent(stack, [1, 1]))
    await idle(intake)
    await stack.stop(intake)
    await connection.execute("UPDATE consumer_offsets SET next = 0, epoch = epoch + 1, last_offset = NULL, last_hash = NULL")
    again = await stack.engine("intake")
    await idle(again)
    assert set(looked_for) == {(seen.subject, 1)}, "of what it did not send itself it knows nothing"
    await connection.close()


async def supplement(intake: Engine, subject: str, text: str) -> None:
    await intake.decide(subject, lambda toy, context: [ComplaintSupplemented(supplement=1, text=text)], metadata())


async def test_a_key_goes_once_though_the_page_behind_was_read_before_it_went(stack: Stack) -> None:
    holding = await stack.connect("intake")
    await holding.fetchval("SELECT pg_advisory_lock(hashtext('redress-relay'))")  # no leader for until all is in the journal
    intake = await stack.engine("intake")
    intake.relay._page = intake.relay._size = 2
    seen = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(2)]
    for subject in seen:
        await supplement(intake, subject, "more")
    await holding.close()

    async def all_sent() -> bool:
        return sorted(await versions(stack)) == [1, 1, 2, 2]

    await eventually(all_sent)
    await idle(intake)
    assert sorted(record.key.decode() for record in await on_the_log(stack, KEYS, 1)) == sorted(seen)
    connection = await stack.connect("intake")
    assert await connection.fetchval("SELECT bool_and(acknowledged) FROM keys")
    await connection.close()


async def test_a_page_of_several_batches_is_sent_in_order_though_its_first_batch_is_lost(stack: Stack) -> None:
    holding = await stack.connect("intake")
    await holding.fetchval("SELECT pg_advisory_lock(hashtext('redress-relay'))")  # no leader for until all is in the journal
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("k1"))
    for n in range(4):
        await supplement(intake, seen.subject, str(n) * LARGE)
    real, losses = intake.relay._sender.open_producer, [1]

    async def open_producer() -> Any:
        """Loses one batch of events, as a broker that answers too late does."""
        producer = await real()
        send = producer.send_batch

        async def send_batch(batch: Any, topic: str, **more: Any) -> Any:
            if not losses[0] or not topic.endswith(LIFECYCLE):
                return await send(batch, topic, **more)
            losses[0] -= 1
            lost = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.3, lost.set_exception, ConnectionError("injected"))
            return lost

        producer.send_batch = send_batch
        return producer

    intake.relay._sender.open_producer = open_producer  # type: ignore[method-assign]
    await holding.close()
    await eventually(lambda: read(stack, seen.subject, 5))
    assert not losses[0] and await handling.parking.subjects() == []
    own = [decode(record.value) for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]
    assert [each.version for each in own if each.source == "intake"] == [1, 2, 3, 4, 5], "a later batch went before an earlier one"
    await verified(stack, "intake")


async def read(stack: Stack, subject: str, version: int) -> bool:
    connection = await stack.connect("handling")
    found = await connection.fetchval("SELECT (read->'intake'->>'v')::int = $2 FROM state WHERE subject = $1", subject, version)
    await connection.close()
    return bool(found)


async def test_a_topic_that_was_made_anew_before_anything_was_sent_to_it_is_sent_to(stack: Stack) -> None:
    intake = await stack.engine("intake")

    async def leads() -> bool:
        return intake.relay.leader

    await eventually(leads)
    await made_anew(stack, LIFECYCLE)
    await intake.create("complaint", lambda context: [registered()], metadata("k1"))
    await eventually(lambda: sent(stack, [1]))
    assert intake.relay.refused is None
