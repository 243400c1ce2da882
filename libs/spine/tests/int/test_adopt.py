"""A journal that is older than the log, made so by a point-in-time recovery, takes in what the log has, verbatim, and nothing else.

Long, for each test restores a server of its own, and all read by the same few questions.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from spine_adoption import killed_at
from spine_log import STATES, Sent, adopted, deleted, fresh, item, made_anew, on_the_log, pen, verified
from spine_process import BATCH_COMPARED, replica
from spine_servers import Archive, archive, filled, moved, servers_folder, stack_on
from spine_stack import AT, Stack, eventually, metadata, registered
from structlog.testing import capture_logs

from redress_events.contracts.callback import ClosedComplaint, ComplaintClosed
from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.vocabulary import CLOSED, LIFECYCLE
from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_spine.admin.rebase import FROM_AHEAD
from redress_spine.messaging import relay, topics, whole_log
from redress_spine.messaging.envelope import headers
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.polling import poll
from redress_spine.store import own_events
from redress_spine.store.commit import Item, commit
from redress_spine.store.engine import Engine, JournalRestored, Unknown
from redress_spine.store.own_events import AdoptionRefused, Forked, PassedOver

JOURNAL = "SELECT stream, version, topic, type, prevhash, hash, data FROM events ORDER BY 1, 2"
STATE = "SELECT subject, parked, read, observed, own FROM state ORDER BY 1"
OTHERS_ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
PUBLIC = ClosedComplaint(
    complaint="C", number="X", revision=1, reason="satisfied", channel="app", kind="complaint", cycles=1, received_at=AT, registered_at=AT,
    closed_at=AT, seconds_to_close=1,
)  # fmt: skip


@pytest.fixture
def kept() -> Iterator[Archive]:
    with archive() as made:
        yield made


@asynccontextmanager
async def stack_of(kept: Archive, kafka: str) -> AsyncIterator[Stack]:
    stack = stack_on(kept.primary, kafka)
    await topics.ensure(kafka, partitions=stack.partitions, prefix=stack.prefix)
    try:
        yield stack
    finally:
        await stack.end()


async def stop(stack: Stack) -> None:
    for engine in list(stack.engines):
        await stack.stop(engine)


async def back_to(stack: Stack, kept: Archive, name: str) -> None:
    """Everything stops, and all databases are as they were then."""
    await stop(stack)
    server = await asyncio.to_thread(kept.back_to, name)
    for source, made in stack.databases.items():
        stack.databases[source] = moved(made, server)


async def register(engine: Engine, *keys: str) -> list[str]:
    return [(await engine.create("complaint", lambda context: [registered()], metadata(key)))[0].subject for key in keys]


async def chase(engine: Engine, subject: str, chase: int) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintChased(chase=chase)], metadata())


async def supplement(engine: Engine, subject: str, text: str) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintSupplemented(supplement=1, text=text)], metadata())


async def close(engine: Engine, subject: str) -> None:
    await engine.decide(subject, lambda toy, context: [ComplaintClosed(cycle=1, reason="satisfied"), PUBLIC], metadata())


def as_sent(said: Item) -> Sent:
    stream, version, _, kind, prevhash, own, value = said.events[0]
    return Sent(stream.encode(), value, headers(stream, "intake", kind, version, prevhash, own))


async def events(stack: Stack, count: int, topic: str = LIFECYCLE) -> None:
    async def there() -> bool:
        records = [(record.key, dict(record.headers)) for record in await on_the_log(stack, topic, stack.partitions)]
        return len({(key, named["source"], named["streamversion"]) for key, named in records}) >= count

    await eventually(there)


async def read_to_the_end(*engines: Engine) -> None:
    for engine in engines:

        async def own(engine: Engine = engine) -> bool:
            await engine.watch.ask()
            measures = await engine.measures()
            return measures.lag_records == 0 and measures.backlog_events == 0

        await eventually(own)


async def journal_and_state(stack: Stack, source: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    connection = await stack.connect(source)
    found = [tuple(row) for row in await connection.fetch(JOURNAL)], [tuple(row) for row in await connection.fetch(STATE)]
    await connection.close()
    return found


async def test_several_journals_restored_to_a_point_in_time_are_to_the_byte_what_they_were(kept: Archive, kafka_address: str) -> None:
    services = ("intake", "handling", "callback")
    async with stack_of(kept, kafka_address) as stack:
        intake, handling, callback = [await stack.engine(source, automations=[] if source == "callback" else None) for source in services]
        first = (await register(intake, "first"))[0]
        await events(stack, 2)
        await read_to_the_end(intake, handling, callback)
        await asyncio.to_thread(kept.mark, "then")
        second = (await register(intake, "second"))[0]
        await chase(intake, first, 1)
        await supplement(intake, first, "the lift too")
        await events(stack, 6)  # with the case that handling opens
        await read_to_the_end(callback)
        await close(callback, first)
        await events(stack, 7)
        await events(stack, 1, CLOSED)
        await read_to_the_end(intake, handling, callback)
        before = {source: await journal_and_state(stack, source) for source in services}

        await back_to(stack, kept, "then")
        again = await stack.engine("intake", start=False)
        for _ in range(3):  # a service tries each second, until somebody adopts the journal
            with pytest.raises(JournalRestored):
                await again.start()
            await again.stop()
        for source in services:
            assert len((await journal_and_state(stack, source))[0]) < len(before[source][0])
        taken = [await adopted(stack, source) for source in services]
        assert [each.events.total() for each in taken] == [3, 1, 2]
        assert taken[0].keys == 1
        connection = await stack.connect("intake")  # before a projector could read them
        assert await connection.fetchval("SELECT count(*) FROM keys") == 2
        await connection.close()
        for source in services:
            assert (await journal_and_state(stack, source))[0] == before[source][0]
        intake, handling, callback = [await stack.engine(source, automations=[] if source == "callback" else None) for source in services]
        await read_to_the_end(intake, handling, callback)
        assert {source: await journal_and_state(stack, source) for source in services} == before
        for source in services:
            await verified(stack, source)
        assert await intake.open(first, ["intake/3/text"]) == {"intake/3/text": "the lift too"}
        assert await intake.open(second, ["intake/1/text"]) == {"intake/1/text": "no signal since Sunday"}
        await chase(intake, first, 2)
        await events(stack, 8)


async def test_killed_at_each_of_its_steps_it_is_begun_anew(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        subjects = await register(intake, "0")
        await events(stack, 1)
        await asyncio.to_thread(kept.mark, "then")
        subjects += await register(intake, "1", "2", "3")
        for subject in subjects:
            await chase(intake, subject, 1)
        await events(stack, 8)
        await read_to_the_end(intake)
        before = await journal_and_state(stack, "intake")
        await back_to(stack, kept, "then")
        steps = [(1, "closed to commands"), (1, "comparing"), (1, "writing"), (2, "writing"), (1, "adopting"), (1, "keys"), (1, "letting")]
        for n, what in steps:
            assert await killed_at(stack, "intake", n, what), what
            with pytest.raises(JournalRestored):
                await (await stack.engine("intake", start=False)).start()
        await adopted(stack, "intake")
        intake = await stack.engine("intake")
        await read_to_the_end(intake)
        assert await journal_and_state(stack, "intake") == before
        await verified(stack, "intake")


async def test_what_a_dying_relay_still_sent_is_found_by_the_second_look(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack, pen(stack) as hand:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await events(stack, 1)
        await asyncio.to_thread(kept.mark, "then")
        await stop(stack)
        connection = await stack.connect("intake")
        row = (await STATES.load(connection, [subject]))[subject]
        chased = item(row, ComplaintChased(chase=1))
        assert [each.result for each in await commit(connection, [chased])] == ["committed"]
        await connection.close()
        await back_to(stack, kept, "then")
        late: list[asyncio.Task[list[int]]] = []

        def progress(what: str, own: int, every: int) -> None:
            if what.startswith("waiting") and not late:
                late.append(asyncio.create_task(hand.write(as_sent(chased))))

        own = await adopted(stack, "intake", settle=3.0, progress=progress)
        assert (own.events.total(), len(late)) == (1, 1)
        await stack.engine("intake")
        await events(stack, 2)
        await verified(stack, "intake")


async def test_it_refuses_what_does_not_continue_the_journal_and_says_where(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack, pen(stack) as hand:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await events(stack, 1)
        await asyncio.to_thread(kept.mark, "then")
        await chase(intake, subject, 1)
        await events(stack, 2)
        connection = await stack.connect("intake")
        row = (await STATES.load(connection, [subject]))[subject]
        await connection.close()
        await stop(stack)
        place = (
            f"{stack.prefix}{LIFECYCLE}",
            STATES.partition(subject),
            (await hand.write(as_sent(item(replace(row, hash=bytes(32)), ComplaintChased(chase=2)))))[0],
        )
        where = f"{place[0]}/{place[1]} offset {place[2]} has version 3 of {subject}, which follows another version 2"
        await back_to(stack, kept, "then")
        before = await journal_and_state(stack, "intake")
        with pytest.raises(Forked, match=where):
            await adopted(stack, "intake")
        assert await journal_and_state(stack, "intake") == before
        with pytest.raises(JournalRestored):
            await (await stack.engine("intake", start=False)).start()

        own = await adopted(stack, "intake", passed_over=PassedOver([place], "lead", "ticket 4711"))
        assert own.events.total() == 1
        intake = await stack.engine("intake")
        await read_to_the_end(intake)
        await chase(intake, subject, 2)
        await read_to_the_end(intake)
        await verified(stack, "intake")
        owner = await stack.connect("intake", owner=True)
        (skip,) = await owner.fetch('SELECT topic, partition, "offset", who, why FROM skips')
        assert tuple(skip) == (*place, "lead", "ticket 4711")

        # A journal that went on without what the log has, as a replica of an older release would have let it.
        await stop(stack)
        forked = (await STATES.load(owner, [subject]))[subject]
        await hand.write(as_sent(item(forked, ComplaintChased(chase=3))))
        assert [each.result for each in await commit(owner, [item(forked, ComplaintChased(chase=9))])] == ["committed"]
        with pytest.raises(Forked, match=f"version 4 of {subject}, and the journal has another event under it"):
            await adopted(stack, "intake")
        with pytest.raises(JournalRestored):
            await (await stack.engine("intake", start=False)).start()
        await owner.close()


async def test_it_refuses_a_log_without_its_start(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await events(stack, 1)
        await read_to_the_end(intake)
        await asyncio.to_thread(kept.mark, "then")
        await chase(intake, subject, 1)
        await chase(intake, subject, 2)
        await events(stack, 3)
        await back_to(stack, kept, "then")

        place = TopicPartition(stack.prefix + LIFECYCLE, STATES.partition(subject))
        admin = KafkaClients.of(kafka_address).admin()
        await admin.start()
        await admin.delete_records({place: RecordsToDelete(2)})
        await admin.close()
        with pytest.raises(AdoptionRefused, match=f"{place.topic}/{place.partition} begins at offset 2, and intake had read it to 1 only"):
            await adopted(stack, "intake")
        with pytest.raises(Forked, match="neither the journal nor the log before it has version 2"):
            await adopted(stack, "intake", although_truncated=True)


async def test_a_topic_that_was_made_again_is_compared_from_its_first_record(kept: Archive, kafka_address: str) -> None:
    """What the journal lacks stands there before the offset that was restored with it, which means another record now."""
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await read_to_the_end(intake)
        await asyncio.to_thread(kept.mark, "then")
        await stop(stack)
        await made_anew(stack, LIFECYCLE)
        owner = await stack.connect("intake", owner=True)
        await owner.execute("UPDATE relay_checkpoint SET topic_ids = '{}'")  # as after a restore of the log, whatever was on it
        await owner.close()
        intake = await stack.engine("intake")
        await chase(intake, subject, 1)
        await chase(intake, subject, 2)
        await events(stack, 2)
        await back_to(stack, kept, "then")
        own = await adopted(stack, "intake")
        assert own.events.total() == 2
        await deleted(stack, LIFECYCLE)
        with pytest.raises(AdoptionRefused, match=f"There is no topic {stack.prefix}{LIFECYCLE}"):
            await adopted(stack, "intake")


async def test_a_copy_of_the_files_put_back_is_healed_although_nothing_told_it_from_the_journal(kept: Archive, kafka_address: str) -> None:
    """Cluster and timeline are the same: the service goes on, and parks what it said itself. An adoption asks the log, not the guard."""
    async with stack_of(kept, kafka_address) as stack:
        intake, handling = await stack.engine("intake"), await stack.engine("handling")
        subject = (await register(intake, "1"))[0]
        await events(stack, 2)
        await read_to_the_end(intake, handling)
        await stop(stack)
        await asyncio.to_thread(kept.put_aside)
        intake = await stack.engine("intake")
        await chase(intake, subject, 1)
        lost = (await register(intake, "2"))[0]
        await events(stack, 4)
        await stop(stack)
        await asyncio.to_thread(kept.put_back)

        intake = await stack.engine("intake")

        async def parked() -> bool:
            return (await intake.measures()).parked_subjects == 2

        await eventually(parked)
        await stack.stop(intake)
        own = await adopted(stack, "intake")
        assert (own.events.total(), own.unparked, own.was_at_home) == (2, 2, True)
        intake = await stack.engine("intake")
        handling = await stack.engine("handling")
        await events(stack, 5)
        await eventually(lambda: answers(intake, lost))
        await read_to_the_end(intake, handling)
        await chase(intake, subject, 2)
        await read_to_the_end(intake, handling)
        for source in ("intake", "handling"):
            await verified(stack, source)


async def test_a_fork_that_was_parked_before_the_adoption_is_found_and_said(kept: Archive, kafka_address: str) -> None:
    """The journal went back unnoticed, and a command took a version anew before the log's was read back."""
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        subject = (await register(intake, "1"))[0]
        await read_to_the_end(intake)
        await stop(stack)
        await asyncio.to_thread(kept.put_aside)
        intake = await stack.engine("intake")
        await chase(intake, subject, 1)
        await events(stack, 2)
        await stop(stack)
        await asyncio.to_thread(kept.put_back)
        owner = await stack.connect("intake", owner=True)
        row = (await STATES.load(owner, [subject]))[subject]
        assert [each.result for each in await commit(owner, [item(row, ComplaintChased(chase=9))])] == ["committed"]
        intake = await stack.engine("intake")

        async def forked() -> bool:
            return [(each.subject, each.reason) for each in await intake.parking.subjects()] == [(subject, "fork")]

        await eventually(forked)
        await read_to_the_end(intake)
        await stop(stack)
        place = (f"{stack.prefix}{LIFECYCLE}", STATES.partition(subject), 1)
        where = f"{place[0]}/{place[1]} offset 1 has version 2 of {subject}, and the journal has another event under it"
        with pytest.raises(Forked, match=where):
            await adopted(stack, "intake")
        with pytest.raises(JournalRestored):
            await (await stack.engine("intake", start=False)).start()
        own = await adopted(stack, "intake", passed_over=PassedOver([place], "lead", "the customer was asked: it was one chase"))
        assert (own.events.total(), own.unparked) == (0, 1)
        intake = await stack.engine("intake")
        await chase(intake, subject, 3)
        await owner.close()


@pytest.mark.parametrize("cut_off", [False, True], ids=["alone", "and the database goes too"])
async def test_a_kafka_that_falls_silent_ends_an_adoption_and_commands_are_let_in_as_before(
    own_stack: Stack, own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch, cut_off: bool
) -> None:
    intake = await own_stack.engine("intake")
    await register(intake, "1", "2")
    await events(own_stack, 2)
    await read_to_the_end(intake)
    await stop(own_stack)
    owner = await own_stack.connect("intake", owner=True)
    await owner.execute("UPDATE consumer_offsets SET next = 0, last_offset = NULL, last_hash = NULL")  # restored to before it had read them
    assert own_kafka.child is not None
    broker, silent = own_kafka.child.record.pid, asyncio.Event()

    def progress(what: str, own: int, every: int) -> None:
        if what == "comparing" and own == every:
            os.kill(broker, signal.SIGSTOP)
            monkeypatch.setattr(whole_log, "SILENCE", 1.0)
            silent.set()

    async def without_database(*args: Any) -> Any:
        if silent.is_set() and cut_off:
            await owner.execute(OTHERS_ENDED)
        return await poll(*args)

    monkeypatch.setattr(own_events, "poll", without_database)
    try:
        with pytest.raises(ConnectionError, match="Kafka has returned nothing for 1 s") as ended:
            async with asyncio.timeout(60):
                await adopted(own_stack, "intake", progress=progress)
    finally:
        os.kill(broker, signal.SIGCONT)
    assert await owner.fetchval("SELECT timeline = timeline_now() FROM birthplace") is not cut_off
    told = "".join(getattr(ended.value, "__notes__", []))
    assert told.startswith("intake stays closed to commands until it is adopted: ") if cut_off else told == ""
    monkeypatch.undo()
    await owner.close()
    assert (await adopted(own_stack, "intake")).events.total() == 0


async def test_a_projector_that_compared_before_the_adoption_parks_nothing_after_it(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack:
        intake = await stack.engine("intake")
        await register(intake, "1")
        await events(stack, 1)
        await stop(stack)
        await asyncio.to_thread(kept.put_aside)
        intake = await stack.engine("intake")
        await register(intake, "2")
        await events(stack, 2)
        await stop(stack)
        await asyncio.to_thread(kept.put_back)
        async with replica(stack, "intake", hold=BATCH_COMPARED, stop=True) as slow:
            assert await slow.holds() == 1
            assert (await adopted(stack, "intake")).events.total() == 1
            slow.go_on()
            await slow.says("fence-lost")
            intake = await stack.engine("intake")
            await read_to_the_end(intake)
            await verified(stack, "intake")


async def answers(engine: Engine, subject: str) -> bool:
    try:
        return not (await engine.read(subject)).parked
    except (JournalRestored, Unknown):
        return False


async def test_work_that_cannot_be_decided_meanwhile_is_decided_at_once_afterwards(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    await register(intake, "1")
    await events(stack, 2)
    owner = await stack.connect("handling", owner=True)
    with capture_logs() as logs:
        await owner.execute("UPDATE birthplace SET timeline = 0")  # an adoption that was killed at its first step
        await register(intake, "2", "3")
        seen = "The journal of handling did not grow"

        async def tried() -> bool:
            return len([each for each in logs if each["event"] == "work-failed" and seen in each["error"]]) >= 2

        await eventually(tried)
    assert [each for each in logs if each["event"] == "work-set-aside"] == []
    assert await owner.fetchval("SELECT count(*) FROM row_errors") == 0
    assert not (await handling.health()).ready
    await adopted(stack, "handling")
    began = asyncio.get_running_loop().time()
    await events(stack, 6)
    assert asyncio.get_running_loop().time() - began < 10
    assert await owner.fetchval("SELECT count(*) FROM row_errors") == 0
    await owner.close()


async def test_a_journal_from_a_dump_gets_new_transactions_so_that_nothing_is_passed_over(kept: Archive, kafka_address: str) -> None:
    async with stack_of(kept, kafka_address) as stack:
        kept.primary.sql("DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        made = await stack.database("intake")
        connection = await stack.connect("intake")
        shipped = [fresh(n) for n in range(90)]
        await commit(connection, shipped)
        intake = await stack.engine("intake")
        await events(stack, 90)
        await read_to_the_end(intake)
        await stop(stack)
        waiting = [fresh(n) for n in range(90, 95)]
        await commit(connection, waiting)
        await connection.close()
        dumped = await asyncio.to_thread(kept.dump, made)
        kept.primary.kill()

        with servers_folder() as (folder, started):
            server = Postgres(folder / "new")
            started.append(server)
            await asyncio.to_thread(server.start)
            stack.databases["intake"] = await filled(server, made, dumped)
            owner = await stack.connect("intake", owner=True)
            assert await owner.fetchval(FROM_AHEAD)
            assert await killed_at(stack, "intake", 2, "renumbering what was shipped")
            assert await killed_at(stack, "intake", 1, "renumbering what waits")
            own = await adopted(stack, "intake")
            assert (own.events.total(), own.rebased) == (0, True)
            assert not await owner.fetchval(FROM_AHEAD)
            waits = await owner.fetchrow(relay.BACKLOG)
            assert waits is not None and (waits["counted"], waits["head"] - waits["sent"]) == (5, 5)
            await owner.close()
            intake = await stack.engine("intake")
            new = (await register(intake, "new"))[0]
            await chase(intake, shipped[0].row.subject, 1)
            await events(stack, 97)  # those that waited, and the new ones
            await read_to_the_end(intake)
            assert (await intake.read(new)).version == 1
            assert (await verified(stack, "intake", master=None)).journal_events == 97
            await stop(stack)
