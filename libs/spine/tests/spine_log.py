"""Streams as a service would write them, and a hand that writes to the topics whatever anybody could.

Long, for every way in which a test writes to the log is here.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.record.util import calc_crc32c
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from spine_stack import AT, HANDLING_AGGREGATE, INTAKE_AGGREGATE, MAC, MASTER, Stack, eventually, metadata, registered, with_toys

from redress_events.contracts import CONTRACTS, INTAKE
from redress_events.contracts.intake import ComplaintForgotten
from redress_events.event import Contract, Event
from redress_events.vocabulary import LIFECYCLE
from redress_spine.admin.adopt import Adopted, Adoption
from redress_spine.admin.rebuild import Rebuild, Rebuilt
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.aggregate import Verified
from redress_spine.messaging import topics
from redress_spine.messaging.envelope import chain, headers
from redress_spine.messaging.kafka_clients import Admin, KafkaClients, Producer
from redress_spine.messaging.mac import MAC as MAC_HEADER
from redress_spine.messaging.records import Record
from redress_spine.store.commit import IdempotencyKey, Item, Provenance, prepare
from redress_spine.store.engine import Engine
from redress_spine.store.keyring import Keyring
from redress_spine.store.states import Codec, Row, States, partition_of

CIPHER = AESGCM(bytes(32))
STATES = States({"complaint": HANDLING_AGGREGATE}, 4)


def subject_of(n: int) -> str:
    return f"complaint/{UUID(int=(0x01890000 << 96) | (0x7 << 76) | (0x2 << 62) | n)}"


def item(row: Row, *events: Event, key: str | None = None) -> Item:
    """A decision of intake on this row, ready to be committed."""
    said = events or (registered(),)
    return prepare(
        INTAKE,
        STATES.codec(row.subject),
        row,
        said,
        AT,
        Provenance("tester", "t"),
        cipher=CIPHER,
        key=IdempotencyKey(key, b"digest") if key else None,
    )


def fresh(n: int, key: str | None = None) -> Item:
    return item(STATES.fresh(subject_of(n)), key=key)


@dataclass(frozen=True)
class Sent:
    """One record, signed by the service that its header `source` names, or by intake. partition None: where the key belongs. signed False:
    by somebody who has no key; the headers are all that it has."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    partition: int | None = None
    signed: bool = True

    def headers_on(self, topic: str) -> list[tuple[str, bytes]]:
        if not self.signed:
            return self.headers
        own = [each for each in self.headers if each[0] != MAC_HEADER]
        source, prevhash = dict(own).get("source", b"").decode(), dict(own).get("prevhash")
        signer = source if source in CONTRACTS else "intake"
        digest = chain(prevhash or b"", self.value or b"")
        return [*own, MAC.sign(signer, topic, self.key or b"", self.value, prevhash, digest)]

    def place(self, partitions: int = 4) -> int:
        return partition_of((self.key or b"").decode(), partitions) if self.partition is None else self.partition

    def record(self, offset: int = 0, topic: str = LIFECYCLE) -> Record:
        return Record(topic, self.place(), offset, self.key, self.value, dict(self.headers_on(topic)))


class Author:
    """One service's stream of one subject: numbered, sealed, chained and encoded by the real code."""

    def __init__(self, subject: str, contract: Contract = INTAKE) -> None:
        self.subject = subject
        self.contract = contract
        self.row: Row = STATES.fresh(subject)

    def say(self, *events: Event, at: datetime = AT) -> list[Sent]:
        codec: Codec = STATES.codec(self.subject)
        item = prepare(self.contract, codec, self.row, events, at, Provenance("tester", "trace-1"), cipher=CIPHER)
        self.row = replace(self.row, version=item.version, hash=item.events[-1][5], own=item.own)
        source = self.contract.source
        return [
            Sent(stream.encode(), value, headers(stream, source, kind, version, prev, own))
            for stream, version, _, kind, prev, own, value in item.events
        ]


@dataclass
class Pen:
    """Writes to the stack's topics."""

    producer: Producer
    prefix: str

    async def write(self, *records: Sent, topic: str = LIFECYCLE) -> list[int]:
        """In this order, one by one; their offsets."""
        offsets = []
        for each in records:
            place = 0 if topic != LIFECYCLE else each.place()
            name = self.prefix + topic
            own = await self.producer.send_and_wait(name, each.value, each.key, place, headers=each.headers_on(name))
            offsets.append(own.offset)
        return offsets


@asynccontextmanager
async def pen(stack: Stack) -> AsyncIterator[Pen]:
    producer = KafkaClients.of(stack.kafka).producer(linger_ms=0, enable_idempotence=True)  # once, also where a broker comes back
    await producer.start()
    try:
        yield Pen(producer, stack.prefix)
    finally:
        await producer.stop()


def with_broken_header(batch: Any) -> None:
    """Makes the name of the header ABC no UTF-8 and mends the batch's checksum: a producer in another language could."""
    build = batch._build

    def built() -> bytearray:
        raw = bytes(build()).replace(b"ABC", b"\xff\xfe\xfd")
        return bytearray(raw[:17] + struct.pack(">I", calc_crc32c(memoryview(raw[21:]))) + raw[21:])

    batch._build = built


async def broken(hand: Pen, place: int, keys: Sequence[bytes]) -> None:
    """A batch of records that the client cannot take apart."""
    batch = hand.producer.create_batch()
    for key in keys:
        batch.append(timestamp=None, key=key, value=b"{}", headers=[("ABC", b"")])
    with_broken_header(batch)
    await (await hand.producer.send_batch(batch, hand.prefix + LIFECYCLE, partition=place))


async def on_the_log(stack: Stack, topic: str, partitions: int, kafka: KafkaClients | str | None = None) -> list[Any]:
    """Every record that a topic has now, partition by partition."""
    consumer = KafkaClients.of(kafka or stack.kafka).consumer(enable_auto_commit=False, auto_offset_reset="none")
    await consumer.start()
    try:
        places = [TopicPartition(stack.prefix + topic, n) for n in range(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        starts = await consumer.beginning_offsets(places)
        for place in places:
            consumer.seek(place, starts[place])
        found: list[Any] = []
        for place in places:
            while await consumer.position(place) < ends[place]:
                found += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        return found
    finally:
        await consumer.stop()


def described(stack: Stack, source: str) -> Verified:
    """What verify and rebuild need to know of a service of the stack."""
    kind = INTAKE_AGGREGATE if source == "intake" else HANDLING_AGGREGATE
    return Verified(source, {"complaint": kind}, CONTRACTS[source], CONTRACTS, stack.partitions, stack.prefix, MAC)


async def rebuild(
    stack: Stack,
    source: str,
    folder: Path,
    fold: int = 1,
    progress: Any = lambda *_: None,
    accept_loss: bool = False,
    master: Keyring | bytes = MASTER,
) -> Rebuilt:
    """The service's state made anew. folder: for the toy's migration."""
    database = await stack.database(source)
    return await Rebuild(
        described(stack, source),
        fold=fold,
        owner_dsn=database.owner_dsn,
        app_role=database.app_role,
        service_migrations_dir=with_toys(folder),
        kafka=stack.kafka,
        progress=progress,
        accept_loss=accept_loss,
        master=master,
    ).run()


async def verified(stack: Stack, source: str, master: Keyring | bytes | None = MASTER) -> VerifyReport:
    """Log, journal and state of one service are equal: nothing lost, doubled or parked, in order, and state is their fold.

    Keys are compared where subjects are found by what they open: what an `Author` seals has none. master: None where the test's events
    were sealed with no key that the service has.
    """
    service = described(stack, source)
    compared = master if any(aggregate.lookups for aggregate in service.aggregates.values()) else None
    report = await verify(service, (await stack.database(source)).app_dsn, stack.kafka, master=compared)
    assert report.equal and report.lost == report.doubled == report.parked == 0, report
    return report


async def adopted(stack: Stack, source: str, settle: float = 0.0, **options: Any) -> Adopted:
    """The service's journal, adopted. settle: nothing is under way in most tests."""
    database = await stack.database(source)
    return await Adoption(
        described(stack, source),
        fold=1,
        owner_dsn=database.owner_dsn,
        kafka=stack.kafka,
        master_key=MASTER,
        settle=settle,
        **options,
    ).run()


async def forget(intake: Engine, subject: str) -> None:
    """As a customer asks for it: by an event, with intake's proof."""
    event = ComplaintForgotten(proof=intake.proof_of_forgetting(subject), asked_by="customer", reason="A letter of the customer's.")
    await intake.decide(subject, lambda toy, context: [event], metadata())


async def idle(*engines: Engine) -> None:
    async def still() -> bool:
        numbers = [await engine.idle() for engine in engines]
        return all(n.busy == n.backlog == n.lag == n.due == 0 for n in numbers)

    for _ in range(2):
        await eventually(still)


ALL_STATES = "SELECT subject, partition, parked, read::text, cause::text, observed::text, own::text FROM state ORDER BY subject"
ALL_SHOWN = (
    "SELECT * FROM toys ORDER BY subject, what",
    "SELECT * FROM counts WHERE n <> 0 ORDER BY name, key",
    "SELECT * FROM lookups ORDER BY digest, subject",
)
ALL_ENTRIES = "SELECT subject, list, source, version, at, data::text, size FROM entries ORDER BY subject, list, at, source, version"


async def states(stack: Stack, source: str, statements: Sequence[str] = (ALL_STATES, ALL_ENTRIES)) -> list[tuple[Any, ...]]:
    connection = await stack.connect(source, owner=True)
    live = await connection.fetchval("SELECT schema FROM live")
    await connection.execute(f"SET search_path = {live}, public")
    rows = [tuple(row) for statement in statements for row in await connection.fetch(statement)]
    await connection.close()
    return rows


async def whole(stack: Stack, source: str) -> list[tuple[Any, ...]]:
    """States, entries, and all that is made of them."""
    return await states(stack, source, (ALL_STATES, ALL_ENTRIES, *ALL_SHOWN))


@asynccontextmanager
async def admin_of(stack: Stack) -> AsyncIterator[Admin]:
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def deleted(stack: Stack, topic: str) -> None:
    """A topic that somebody mistook for a leftover."""
    async with admin_of(stack) as admin:
        await admin.delete_topics([stack.prefix + topic])

        async def gone() -> bool:
            return stack.prefix + topic not in await admin.list_topics()

        await eventually(gone)


async def made_anew(stack: Stack, topic: str) -> None:
    """A topic deleted, and one of the same name made, which the broker knows by now."""
    await deleted(stack, topic)
    await topics.ensure(stack.kafka, partitions=stack.partitions, prefix=stack.prefix)
    name = stack.prefix + topic

    async def known() -> bool:
        return (await topics.partitions_of(stack.kafka, [name]))[name] is not None

    await eventually(known)
