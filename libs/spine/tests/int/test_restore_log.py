"""The log written anew from the journals: whatever was lost of it, events stand behind their causes again, and states are what they were.

Long, for every way in which a log can be damaged is a test, and all compare the same things afterwards.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from spine_log import Author, Sent, admin_of, adopted, deleted, made_anew, on_the_log, pen, rebuild, subject_of, verified
from spine_servers import archive, moved, stack_on
from spine_stack import AT, MAC, Stack, eventually, metadata, registered
from spine_stack import opened as words

from redress_events.contracts import CONTRACTS
from redress_events.contracts.callback import ClosedComplaint, ComplaintClosed
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.admin import restore_log
from redress_spine.admin.restore_log import Access, Restored, RestoreLog
from redress_spine.messaging import relay, topics, whole_log
from redress_spine.messaging.envelope import Envelope, decode
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store.engine import Engine, Unavailable, Unknown
from redress_spine.store.errors import CannotRestore, JournalRestored
from redress_spine.store.fold import RecordPlace
from redress_spine.store.own_events import AdoptionRefused, PassedOver

ALL = (LIFECYCLE, CLOSED, KEYS)
SERVICES = ("intake", "handling")
ONE = topics.Replicas(1, 1)
PUBLIC = ClosedComplaint(
    complaint="C", number="X", revision=1, reason="satisfied", channel="app", kind="complaint", cycles=1, received_at=AT, registered_at=AT,
    closed_at=AT, seconds_to_close=1,
)  # fmt: skip
STATE = "SELECT subject, observed::text, own::text, read::text, parked FROM state ORDER BY subject"


async def restoring(stack: Stack, *recreate: str, services: Sequence[str] = SERVICES, in_flight: float = 0.1, **options: Any) -> RestoreLog:
    access = {name: Access((await stack.database(name)).owner_dsn, (await stack.database(name)).app_dsn) for name in services}
    named: dict[str, Any] = {"kafka": stack.kafka, "partitions": stack.partitions, "prefix": stack.prefix, "mac": MAC}
    return RestoreLog(access, **named, recreate=recreate, in_flight=in_flight, **options)


async def restored(stack: Stack, *recreate: str, **options: Any) -> Restored:
    return await (await restoring(stack, *recreate, **options)).run()


async def states(stack: Stack, source: str) -> list[tuple[Any, ...]]:
    connection = await stack.connect(source)
    schema = await connection.fetchval("SELECT schema FROM public.live")
    await connection.execute(f"SET search_path = {schema}, public")
    try:
        return [tuple(row) for row in await connection.fetch(STATE)]
    finally:
        await connection.close()


async def a_life(stack: Stack, complaints: int = 8) -> tuple[Engine, Engine]:
    """Complaints that intake registers, handling opens, and intake chases once it has learned of that; all is on the log and read."""
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject for _ in range(complaints)]
    for subject in subjects:
        await opened(intake, subject)
        await chase(intake, subject, 1)
    await all_read(intake, handling)
    return intake, handling


async def opened(intake: Engine, subject: str) -> None:
    async def observed() -> int:
        return int((await intake.read(subject)).state.observed.opened)

    await eventually(observed)


async def chase(intake: Engine, subject: str, n: int) -> None:
    await intake.decide(subject, lambda state, context: [ComplaintChased(chase=n)], metadata())


async def all_read(*engines: Engine) -> None:
    async def read() -> bool:
        numbers = [await engine.measures() for engine in engines]
        return all(each.backlog_events == each.lag_records == each.stuck_rows == 0 for each in numbers)

    await eventually(read)


async def stopped(stack: Stack) -> None:
    for engine in list(stack.engines):
        await stack.stop(engine)


async def events(stack: Stack) -> list[Envelope]:
    return [decode(record.value) for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]


async def in_order(stack: Stack) -> list[Envelope]:
    """The log's events. Each stands behind its cause and its predecessor, and once."""
    found = await events(stack)
    at = {event.id: n for n, event in enumerate(found)}
    assert len(at) == len(found), "one stands there twice"
    for event in found:
        assert event.causation is None or at[event.causation] < at[event.id], f"{event.id} stands before its cause"
        before = f"{event.subject}/{event.source}/{event.version - 1}"
        assert event.version == 1 or at[before] < at[event.id], f"{event.id} stands before its predecessor"
    return found


async def lost_start(stack: Stack, topic: str = LIFECYCLE) -> None:
    """Half of each partition's records are deleted from its beginning, as by a retention that was set by mistake."""
    ends = Counter(record.partition for record in await on_the_log(stack, topic, stack.partitions))
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    await admin.delete_records({TopicPartition(stack.prefix + topic, n): RecordsToDelete((end + 1) // 2) for n, end in ends.items()})
    await admin.close()


async def rebuilt(stack: Stack, folder: Path) -> None:
    for source in SERVICES:
        await rebuild(stack, source, folder)
        await verified(stack, source)


async def test_a_log_that_was_lost_whole_is_written_again_and_all_goes_on(stack: Stack, tmp_path: Path):
    await a_life(stack)
    before = {source: await states(stack, source) for source in SERVICES}
    first = await in_order(stack)
    await stopped(stack)
    own = await restored(stack, *ALL)
    assert (own.written, own.keys, own.missing, own.early) == ({"intake": 16, "handling": 8}, 8, [], 0)
    again = await in_order(stack)
    assert sorted(event.id for event in again) == sorted(event.id for event in first)
    assert len(await on_the_log(stack, KEYS, 1)) == 8
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    seen, _ = await intake.create("complaint", lambda context: [registered("and on it goes")], metadata())
    await opened(intake, seen.subject)
    await all_read(intake, handling)
    assert len(await in_order(stack)) == len(first) + 2, "what had been sent was sent again"


async def test_a_log_whose_end_was_lost_is_gone_on_with(stack: Stack, tmp_path: Path):
    """As much as was sent before the chases is on it, as after a broker that was put back to an earlier copy of its data."""
    await a_life(stack, complaints=6)
    await stopped(stack)
    kept = [record for record in await on_the_log(stack, LIFECYCLE, stack.partitions) if decode(record.value).version == 1]
    before = {source: await states(stack, source) for source in SERVICES}
    await topics.recreate(stack.kafka, [stack.prefix + LIFECYCLE], stack.partitions, ONE, stack.prefix)
    sender = relay.Sender(stack.kafka, "test")
    await sender.send([(record.topic, record.partition, record.key, record.value, list(record.headers)) for record in kept])
    await sender.drop()
    own = await restored(stack)
    assert (own.found, own.written, own.recreated) == (12, {"intake": 6, "handling": 0}, [])
    assert len(await in_order(stack)) == 18
    again = await restored(stack)
    assert (again.found, again.written) == (18, {"intake": 0, "handling": 0}), "what the log has was written again"
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before


async def test_a_broker_that_was_put_back_to_an_earlier_copy_is_gone_on_with(own_stack: Stack, own_kafka: Kafka, tmp_path: Path):
    """Nobody wrote behind what was left, so nothing needs to be made anew."""
    stack = own_stack
    intake, handling = await a_life(stack, complaints=4)
    saved = await asyncio.to_thread(own_kafka.save)
    for old in {event.subject for event in await events(stack)}:
        await chase(intake, old, 2)
        await opened(intake, (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject)
    await all_read(intake, handling)
    before = {source: await states(stack, source) for source in SERVICES}
    await stopped(stack)
    await asyncio.to_thread(own_kafka.put_back, saved)
    own = await restored(stack)
    assert (own.found, own.written, own.recreated) == (12, {"intake": 8, "handling": 4}, [])
    assert len(await in_order(stack)) == 24
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before


async def test_a_kafka_that_falls_silent_ends_a_restore_or_an_adoption_and_the_leads_are_given_back(
    own_stack: Stack, own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
):
    stack = own_stack
    await a_life(stack)
    await stopped(stack)
    read, usual = list[int](), whole_log.SILENCE

    def progress(what: str, own: int, every: int) -> None:
        if what in ("log", "comparing") and not read:
            read.append(own)
            own_kafka.kill()
            monkeypatch.setattr(whole_log, "SILENCE", 2.0)  # a Kafka that is there may take its time

    with pytest.raises(ConnectionError, match="Kafka has returned nothing for 2 s"):
        async with asyncio.timeout(30):
            await restored(stack, progress=progress)
    assert 0 < read[0] < 24
    for source in SERVICES:
        connection = await stack.connect(source)
        await eventually(partial(connection.fetchval, relay.LEAD))
        await connection.close()
    monkeypatch.setattr(whole_log, "SILENCE", usual)
    await asyncio.to_thread(own_kafka.start)
    own = await restored(stack)
    assert (own.found, sum(own.written.values())) == (24, 0)
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE consumer_offsets SET next = 0, last_offset = NULL, last_hash = NULL")  # all is to be compared
    read.clear()
    with pytest.raises(ConnectionError, match="Kafka has returned nothing for 2 s"):
        async with asyncio.timeout(30):
            await adopted(stack, "intake", progress=progress)
    assert read and await owner.fetchval(relay.LEAD)
    await owner.close()


async def test_what_a_deposed_relay_still_sends_is_waited_for(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    """It has its page in hands, and as long for it as a page may take."""
    intake, _ = await a_life(stack, complaints=2)
    real, slow = relay.Sender.open_producer, asyncio.Event()

    async def open_producer(self: relay.Sender) -> Any:
        if self._role == "intake-relay" and not slow.is_set():
            slow.set()
            await asyncio.sleep(relay.SEND_TIMEOUT - 0.5)
        return await real(self)

    monkeypatch.setattr(relay.Sender, "open_producer", open_producer)
    await chase(intake, (await events(stack))[0].subject, 2)  # of a complaint whose key was sent: the page goes without another question
    await slow.wait()
    own = await restored(stack, in_flight=restore_log.IN_FLIGHT)
    assert (own.found, sum(own.written.values())) == (7, 0)
    assert len(await in_order(stack)) >= 7


@pytest.mark.parametrize(("topic", "written"), [(LIFECYCLE, 24), (KEYS, 0)], ids=["events", "keys"])
async def test_a_topic_that_was_deleted_is_made_again_by_its_name(stack: Stack, tmp_path: Path, topic: str, written: int):
    """On the same cluster, by somebody who mistook it for a leftover."""
    await a_life(stack)
    before = {source: await states(stack, source) for source in SERVICES}
    await stopped(stack)
    await deleted(stack, topic)
    with pytest.raises(CannotRestore, match=rf"There is no topic {stack.prefix}{topic}\. .*--recreate {topic}"):
        await restored(stack)
    own = await restored(stack, topic)
    assert (sum(own.written.values()), own.found, own.keys) == (written, 24 - written, 8)
    assert len(await in_order(stack)) == 24
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before
    triage = await stack.engine("triage", automations=[])  # who reads it for the first time
    for row in before["intake"]:
        await eventually(partial(words, triage, row[0], "intake/1/text"))


async def test_the_public_topic_is_written_again_by_its_writer_alone(stack: Stack):
    callback = await stack.engine("callback", automations=[])
    await stack.database("intake")
    async with pen(stack) as hand:
        await hand.write(*Author(subject_of(1)).say(registered()))
    await eventually(lambda: known(callback, subject_of(1)))
    await callback.decide(subject_of(1), lambda state, context: [ComplaintClosed(cycle=1, reason="satisfied"), PUBLIC], metadata())
    await all_read(callback)
    before = [(record.key, record.value) for record in await on_the_log(stack, CLOSED, stack.partitions)]
    assert len(before) == 1
    await stopped(stack)
    await topics.recreate(stack.kafka, [stack.prefix + LIFECYCLE, stack.prefix + CLOSED], stack.partitions, ONE, stack.prefix)
    own = await restored(stack, services=["intake", "callback"])
    assert own.written == {"intake": 0, "callback": 2}
    assert [(record.key, record.value) for record in await on_the_log(stack, CLOSED, stack.partitions)] == before
    again = await restored(stack, CLOSED, services=["intake", "callback"])
    assert (again.found, again.written) == (1, {"intake": 0, "callback": 1}), "of the other topic nothing was missing"
    await lost_start(stack, CLOSED)
    with pytest.raises(CannotRestore, match=rf"its start has gone.* --recreate {CLOSED}"):
        await restored(stack, services=["intake", "callback"])
    await restored(stack, CLOSED, services=["intake", "callback"])
    assert [(record.key, record.value) for record in await on_the_log(stack, CLOSED, stack.partitions)] == before

    # What somebody else writes there is never parked, for no service reads it.
    copied = [record for record in await on_the_log(stack, LIFECYCLE, stack.partitions) if decode(record.value).source == "callback"]
    await sent(stack, CLOSED, *(Sent(each.key, each.value, list(each.headers)) for each in copied))
    own = await restored(stack, services=["intake", "callback"])
    assert (own.found, own.strangers) == (2, 1), "a copy from the other topic is no event of this one"
    _, forged = Author(subject_of(1), CONTRACTS["callback"]).say(ComplaintClosed(cycle=1, reason="unreachable"), PUBLIC)
    (place,) = await sent(stack, CLOSED, forged)
    await passed_over(stack, "callback", place, "which is another event than the journal of callback", services=["intake", "callback"])
    assert (await restored(stack, services=["intake", "callback"])).strangers == 2


async def sent(stack: Stack, topic: str, *records: Sent, partition: int | None = None) -> list[RecordPlace]:
    """Their places."""
    producer = KafkaClients.of(stack.kafka).producer()
    await producer.start()
    try:
        own = [
            await producer.send_and_wait(
                stack.prefix + topic,
                each.value,
                each.key,
                each.place() if partition is None else partition,
                headers=each.headers_on(stack.prefix + topic),
            )
            for each in records
        ]
    finally:
        await producer.stop()
    return [(each.topic, each.partition, each.offset) for each in own]


async def passed_over(stack: Stack, source: str, place: RecordPlace, message: str, **options: Any) -> None:
    """A restore refuses this record, also where its topic is to be made anew, and names the command that passes it over."""
    command = f"redress adopt {source} --skip {place[0]}/{place[1]}@{place[2]} --why"
    with pytest.raises(CannotRestore, match=f"{message}.*{re.escape(command)}"):
        await restored(stack, place[0].removeprefix(stack.prefix), **options)
    other = (place[0], place[1], place[2] + 1)
    with pytest.raises(AdoptionRefused, match=rf"@{other[2]} is not a record in the name of {source}"):
        await adopted(stack, source, passed_over=PassedOver([other], "lead", "a typing error"))
    await adopted(stack, source, passed_over=PassedOver([place], "lead", "ticket 4711"))


async def known(engine: Engine, subject: str) -> bool:
    try:
        return bool((await engine.read(subject)).state.observed.registered_at)
    except (Unknown, Unavailable):
        return False


async def test_a_log_whose_start_was_lost_is_refused_until_its_topic_is_named(stack: Stack, tmp_path: Path):
    await a_life(stack)
    before = {source: await states(stack, source) for source in SERVICES}
    await stopped(stack)
    await lost_start(stack)
    with pytest.raises(CannotRestore, match=rf"its start has gone.* --recreate {LIFECYCLE}"):
        await restored(stack)
    assert len(await on_the_log(stack, LIFECYCLE, stack.partitions)) < 24, "nothing is written where it is refused"
    own = await restored(stack, LIFECYCLE)
    assert sum(own.written.values()) == len(await in_order(stack)) == 24
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before


@pytest.mark.parametrize("page", [1, 2, 4])
async def test_broken_off_at_any_page_it_is_run_again_and_no_relay_ships_behind_half_a_log(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
):
    """Services run all the while and take commands."""
    monkeypatch.setattr(restore_log, "PAGE", 5)
    intake, _ = await a_life(stack)
    real, pages = relay.Sender.send, [0]

    async def send(self: relay.Sender, records: Any) -> None:
        if self._role == "restore-log":
            pages[0] += 1
            if pages[0] > page:
                raise ConnectionError("broken off")
        await real(self, records)

    monkeypatch.setattr(relay.Sender, "send", send)
    with pytest.raises(ConnectionError, match="broken off"):
        await restored(stack, LIFECYCLE, KEYS)
    half = await events(stack)
    subject = (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject

    tried = intake.relay.progress

    async def tries_again() -> bool:
        return intake.relay.progress > tried + 2 and (await intake.measures()).backlog_events >= 1

    await eventually(tries_again)
    assert [event.id for event in await events(stack)] == [event.id for event in half], "a relay shipped behind half a log"
    monkeypatch.setattr(relay.Sender, "send", real)
    own = await restored(stack)
    assert (own.found, sum(own.written.values())) == (len(half), 25 - len(half))
    await stopped(stack)
    assert len(await in_order(stack)) >= 25
    await rebuilt(stack, tmp_path)
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    await opened(intake, subject)
    await all_read(intake, handling)
    await in_order(stack)


async def test_events_that_were_sent_again_behind_others_are_refused_as_they_stand(stack: Stack, tmp_path: Path):
    """After a loss one service sent its journal anew and then the other: what was decided upon the other's events stands before them."""
    await a_life(stack)
    await stopped(stack)
    await topics.recreate(stack.kafka, [stack.prefix + LIFECYCLE], stack.partitions, ONE, stack.prefix)
    for source in SERVICES:
        connection = await stack.connect(source)
        await connection.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")
        await connection.close()
        engine = await stack.engine(source, automations=[])
        await eventually(partial(_sent, engine))
        await stack.stop(engine)
    with pytest.raises(CannotRestore, match=r"without its cause complaint/.*/handling/1 before it.*--recreate"):
        await restored(stack)
    await restored(stack, LIFECYCLE)
    await in_order(stack)
    await rebuilt(stack, tmp_path)


async def _sent(engine: Engine) -> bool:
    return (await engine.measures()).backlog_events == 0


async def test_what_would_be_lost_for_ever_is_refused(stack: Stack):
    """A journal that is older than the log or forks from it: deleting the log would delete events that nobody else has."""
    await a_life(stack, complaints=2)
    await stopped(stack)
    owner, before = await stack.connect("intake", owner=True), await events(stack)
    await owner.execute("CREATE TABLE whole AS TABLE events; CREATE TABLE home AS TABLE birthplace")
    undo = "TRUNCATE events, birthplace; INSERT INTO events OVERRIDING SYSTEM VALUE TABLE whole; INSERT INTO birthplace TABLE home"
    for harm, message in [
        ("DELETE FROM events WHERE version = 2", r"the log is newer than this journal.*redress adopt intake"),
        ("UPDATE events SET hash = sha256(hash) WHERE version = 2", "is another event than the journal of intake has"),
        ("UPDATE birthplace SET system_identifier = 1", "did not grow on this PostgreSQL cluster.*redress adopt intake"),
    ]:
        await owner.execute(harm)
        for recreate in [(), (LIFECYCLE,)]:
            with pytest.raises((CannotRestore, JournalRestored), match=message):
                await restored(stack, *recreate)
        assert await events(stack) == before
        assert await owner.fetchval("SELECT kafka_cluster FROM relay_checkpoint") != relay.RESTORING, "relays may go on where it is refused"
        await owner.execute(undo)
    assert sum((await restored(stack)).written.values()) == 0, "without the harm it is as it was"
    await owner.close()


async def test_a_journal_that_is_not_there_is_named(stack: Stack):
    access = {name: Access((await stack.database(name)).owner_dsn, (await stack.database(name)).app_dsn) for name in SERVICES}
    access["handling"] = Access(access["handling"].owner_dsn + "_gone", access["handling"].app_dsn)
    automations = RestoreLog(access, kafka=stack.kafka, partitions=stack.partitions, prefix=stack.prefix, mac=MAC)
    with pytest.raises(CannotRestore, match="The journal of handling is not there"):
        await automations.run()


async def test_a_topic_that_is_missing_or_has_other_partitions_is_named(stack: Stack):
    for source in SERVICES:
        await stack.database(source)
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    await admin.delete_topics([stack.prefix + CLOSED])
    await admin.close()
    with pytest.raises(CannotRestore, match=rf"no topic {stack.prefix}{CLOSED}.*--recreate {CLOSED}"):
        await restored(stack)
    stack.partitions = 3
    with pytest.raises(CannotRestore, match=r"has 4 partitions, and the services have 3 \(REDRESS_PARTITIONS\)"):
        await restored(stack, CLOSED)


@pytest.mark.parametrize("partitions", [2, 6], ids=["fewer", "more"])
async def test_a_topic_that_was_made_with_other_partitions_is_cured_by_its_name(stack: Stack, tmp_path: Path, partitions: int):
    """Some events stand on it where somebody who counted otherwise wrote them; what no journal has is not deleted."""
    await a_life(stack)
    before = {source: await states(stack, source) for source in SERVICES}
    await stopped(stack)
    kept = [Sent(record.key, record.value, list(record.headers)) for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]
    await deleted(stack, LIFECYCLE)
    async with admin_of(stack) as admin:
        await admin.create_topics([NewTopic(stack.prefix + LIFECYCLE, partitions, 1)])
    for each in kept:
        await sent(stack, LIFECYCLE, each, partition=each.place(partitions))
    with pytest.raises(CannotRestore, match=rf"has {partitions} partitions, and the services have 4 .* --recreate {LIFECYCLE}"):
        await restored(stack)
    (forged,) = Author(subject_of(4711)).say(registered())
    (place,) = await sent(stack, LIFECYCLE, forged, partition=(forged.place() + 1) % partitions if partitions < 4 else 5)
    await passed_over(stack, "intake", place, "which the journal of intake does not have")
    own = await restored(stack, LIFECYCLE)
    assert sum(own.written.values()) == len(await in_order(stack)) == 24
    await rebuilt(stack, tmp_path)
    assert {source: await states(stack, source) for source in SERVICES} == before


async def test_a_cause_that_no_journal_has_is_told_and_holds_up_nothing(stack: Stack, tmp_path: Path):
    await a_life(stack, complaints=3)
    await stopped(stack)
    owner = await stack.connect("handling", owner=True)
    lost = await owner.fetchval("DELETE FROM events WHERE stream = (SELECT min(stream) FROM events) RETURNING stream")
    await owner.close()
    await topics.recreate(stack.kafka, [stack.prefix + LIFECYCLE], stack.partitions, ONE, stack.prefix)
    own = await restored(stack)
    assert own.missing == [f"{lost}/handling/1"]
    assert own.written == {"intake": 6, "handling": 2}
    again = await restored(stack)
    assert (again.found, sum(again.written.values())) == (8, 0), "what has no cause to stand behind stands rightly"


async def test_another_restore_or_an_operator_is_not_thrown_out(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    holding = await stack.connect("intake", owner=True)
    await holding.fetchval("SELECT pg_advisory_lock(hashtext('redress-relay'))")
    with pytest.raises(CannotRestore, match="holds the lead of intake: is another restore-log running"):
        await restored(stack)
    assert not holding.is_closed()
    await holding.close()


async def test_all_but_a_backup_of_the_databases_is_lost(kafka_address: str, own_kafka: Kafka, tmp_path: Path):
    """The databases come back as they were at one moment, and Kafka as another cluster with nothing in it."""
    with archive() as kept:
        stack = stack_on(kept.primary, kafka_address)
        await topics.ensure(stack.kafka, partitions=stack.partitions, prefix=stack.prefix)
        intake, handling = await a_life(stack, complaints=4)
        await stopped(stack)
        before = {source: await states(stack, source) for source in SERVICES}
        await asyncio.to_thread(kept.mark, "backup")
        intake, handling = await stack.engine("intake"), await stack.engine("handling")
        lost = (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject
        await opened(intake, lost)
        await all_read(intake, handling)
        await stopped(stack)
        server = await asyncio.to_thread(kept.back_to, "backup")
        stack.databases = {source: moved(made, server) for source, made in stack.databases.items()}
        with pytest.raises(AdoptionRefused, match="must be compared"):
            await adopted(stack, "intake", log_lost=True)
        stack.kafka = own_kafka.address
        with pytest.raises(JournalRestored, match="redress adopt intake"):
            await restored(stack, *ALL)
        with pytest.raises(AdoptionRefused, match="was shipped to the Kafka cluster"):
            await adopted(stack, "intake")
        for source in SERVICES:
            await adopted(stack, source, log_lost=True)
        own = await restored(stack, *ALL)
        assert (own.written, own.keys) == ({"intake": 8, "handling": 4}, 4)
        await in_order(stack)
        await rebuilt(stack, tmp_path)
        assert {source: await states(stack, source) for source in SERVICES} == before, "what it was at that moment, and nothing else"
        intake, handling = await stack.engine("intake"), await stack.engine("handling")
        await opened(intake, (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject)
        await stopped(stack)


async def test_replicas_are_as_they_were_or_are_said_and_what_cannot_be_made_again_is_not_deleted(two_brokers: Kafka, database: Any):
    stack = Stack(two_brokers.address, database)
    two = topics.Replicas(2, 2)
    await topics.ensure(stack.kafka, stack.partitions, two, stack.prefix)
    intake = await stack.engine("intake")
    await intake.create("complaint", lambda context: [registered()], metadata())
    await all_read(intake)
    await stopped(stack)
    for impossible, why in (
        (topics.Replicas(3, 2), "Kafka has 2 brokers now"),
        (topics.Replicas(1, 2), "cannot have 1 replica, 2 of them"),
    ):
        automations = await restoring(stack, *ALL, services=["intake"], replicas=impossible)
        with pytest.raises(CannotRestore, match=why):
            await automations.run()
        assert not automations.begun
    assert len(await on_the_log(stack, LIFECYCLE, stack.partitions)) == 1
    one_of_them = await restored(stack, LIFECYCLE, services=["intake"])
    assert (one_of_them.replicas, await topics.replicas_for(stack.kafka, [stack.prefix + LIFECYCLE])) == (two, two)
    await delete(stack, *ALL)
    automations = await restoring(stack, *ALL, services=["intake"])
    with pytest.raises(CannotRestore, match="--replication 3 --min-insync 2"):
        await automations.run()
    assert not automations.begun
    automations = await restoring(stack, *ALL, services=["intake"], replicas=two)
    assert (await automations.run()).replicas == two
    assert automations.begun
    for topic in ALL:
        assert await topics.replicas_for(stack.kafka, [stack.prefix + topic]) == two
    assert len(await on_the_log(stack, LIFECYCLE, stack.partitions)) == 1


async def test_what_the_other_topics_have_goes_for_one_that_is_gone(two_brokers: Kafka, database: Any):
    stack = Stack(two_brokers.address, database)
    two = topics.Replicas(2, 1)
    await topics.ensure(stack.kafka, stack.partitions, two, stack.prefix)
    await delete(stack, LIFECYCLE)
    await stack.database("intake")
    assert (await restored(stack, LIFECYCLE, services=["intake"])).replicas == two


async def delete(stack: Stack, *names: str) -> None:
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    await admin.delete_topics([stack.prefix + name for name in names])

    async def gone() -> bool:
        there = {each["topic"] for each in await admin.describe_topics()}
        return not there & {stack.prefix + name for name in names}

    await eventually(gone)
    await admin.close()


@pytest.mark.parametrize("topic", [LIFECYCLE, CLOSED])
async def test_nothing_is_sent_to_a_topic_that_was_made_anew_until_the_log_is_restored(stack: Stack, topic: str):
    intake, callback = await stack.engine("intake"), await stack.engine("callback", automations=[])
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(str(n))))[0].subject for n in range(2)]

    async def close(subject: str) -> None:
        await eventually(lambda: known(callback, subject))
        await callback.decide(subject, lambda state, context: [ComplaintClosed(cycle=1, reason="satisfied"), PUBLIC], metadata())

    async def told() -> list[str]:
        return [each for each in (await callback.health()).alarms if f"Topic {stack.prefix}{topic} was recreated" in each]

    await eventually(lambda: known(callback, subjects[1]))
    await close(subjects[0])
    await all_read(intake, callback)
    assert not await told()
    await made_anew(stack, topic)
    (alarm,) = await eventually(told)
    assert "redress restore-log" in alarm
    await close(subjects[1])
    tried = {callback.relay.progress}

    async def tried_again() -> bool:
        tried.add(callback.relay.progress)
        return len(tried) > 3

    await eventually(tried_again)
    assert (await callback.measures()).backlog_events == 2
    assert await on_the_log(stack, topic, stack.partitions) == []
    await restored(stack, services=["intake", "callback"])
    assert len(await on_the_log(stack, CLOSED, stack.partitions)) == 2
    assert len(await on_the_log(stack, LIFECYCLE, stack.partitions)) == 4

    async def over() -> bool:
        return (
            not await told()
            and (await callback.measures()).backlog_events == 0
            and (intake.relay.leader, callback.relay.leader) == (True, True)
        )

    await eventually(over)
    await intake.create("complaint", lambda context: [registered()], metadata("after"))

    async def sent() -> bool:
        return len(await on_the_log(stack, LIFECYCLE, stack.partitions)) == 5

    await eventually(sent)
