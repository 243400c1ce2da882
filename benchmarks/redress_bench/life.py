"""A log of any length: whole lives of complaints, written once by the real encoders, then stamped with other ids and chained anew.

Stamping exchanges the subject and the numbers that depend on it; the bytes are those that the services would have written.
"""

from __future__ import annotations

import importlib
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redress_bench.bodies import TEXTS
from redress_events.contracts import CONTRACTS
from redress_events.contracts.callback import CallbackAttempted, CallbackScheduled, ComplaintClosed, SatisfactionRecorded
from redress_events.contracts.handling import CaseAccepted, CaseOpened, CaseResolved, CaseTransferred, CustomerContacted, ProgressReported
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented
from redress_events.contracts.sla_monitor import ClockMet, ClockStarted
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted, Evidence
from redress_events.event import Event
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import package
from redress_spine.messaging.envelope import GENESIS, chain, headers
from redress_spine.messaging.kafka_clients import Producer
from redress_spine.messaging.mac import MacKeys
from redress_spine.processing.clock import fresh_id
from redress_spine.store.commit import Provenance, prepare
from redress_spine.store.states import Codec, Row, partition_of

BEGUN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PLACEHOLDER = uuid.UUID(int=0x0189_0000_0000_7000_8000_0000_0000_0001)
NUMBER = "0000-0000-000"
INSTANT = datetime(2031, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)  # a deadline that is exchanged when a life is stamped
CIPHER = AESGCM(bytes(32))
MAC = MacKeys({f"{source}.1": sha256(source.encode()).digest() for source in CONTRACTS})
UNSIGNED = "mac", bytes(len("handling.1.") + 24)
Said = tuple[timedelta, str, Event]


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a life, with the placeholder's ids in its bytes."""

    source: str
    kind: str
    version: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """One event of one complaint, as journal and log hold it."""

    subject: str
    source: str
    kind: str
    version: int
    prevhash: bytes
    hash: bytes
    value: bytes
    partition: int


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def whole_life(text: str, later: int) -> list[Said]:
    """From registration to closing, with some words and progress in between."""
    received = BEGUN
    clock: dict[str, Any] = {"cycle": 1, "n": 1, "policy": "telecom-handbook@1", "calendar": "china@1", "starts_at": received}
    said: list[Said] = [
        (minutes(0), "intake", registered(text, received)),
        (minutes(0.001), "triage", classified(text)),
        (minutes(0.001), "triage", ComplaintRouted(routing=1, department="network", queue="broadband")),
        (minutes(0.002), "sla-monitor", ClockStarted(clock="classify", target="1 working day", deadline=INSTANT, **clock)),
        (
            minutes(0.002),
            "sla-monitor",
            ClockStarted(clock="resolve", target="3 working days", deadline=INSTANT, classification=1, **clock),
        ),
        (minutes(0.003), "sla-monitor", ClockMet(clock="classify", cycle=1, n=1, met_at=received + minutes(0.001), in_time=True)),
        (minutes(0.003), "handling", CaseOpened(cycle=1, routing=1, department="network")),
        (minutes(50), "handling", CaseAccepted(cycle=1, handler="li.wei", routing=1)),
        (minutes(55), "handling", CustomerContacted(cycle=1, means="phone", contacted_at=received + minutes(54), note="Apologised.")),
    ]
    for n in range(1, later + 1):
        said.append((minutes(60 + n), "intake", ComplaintSupplemented(supplement=n, text=TEXTS[n % len(TEXTS)])))
        said.append((minutes(90 + n), "handling", ProgressReported(cycle=1, note="The line is being measured.")))
        said.append((minutes(95 + n), "intake", ComplaintChased(chase=n)))
    if later > 1:
        moved = CaseTransferred(cycle=1, routing=1, transfer=1, department="field_service", reason="The splice outside is worn.")
        said.append((minutes(120), "handling", moved))
        said.append((minutes(130), "handling", CaseAccepted(cycle=1, handler="wang.fang", routing=1, transfer=1)))
    resolved = CaseResolved(
        cycle=1,
        department="network",
        cause="A worn splice",
        measures="Spliced anew and measured",
        responsible_unit="Field team 2",
        told_customer="phone",
    )
    said += [
        (minutes(1500), "handling", resolved),
        (minutes(1501), "sla-monitor", ClockMet(clock="resolve", cycle=1, n=1, met_at=received + minutes(1500), in_time=True)),
        (minutes(1501), "callback", CallbackScheduled(cycle=1, outcome="resolved", due_at=received + minutes(2900))),
        (minutes(2800), "callback", CallbackAttempted(cycle=1, attempt=1, reached=True)),
        (minutes(2800), "callback", SatisfactionRecorded(cycle=1, solved=True, score=5)),
        (minutes(2801), "callback", ComplaintClosed(cycle=1, reason="satisfied")),
    ]
    return said


def open_life(text: str) -> list[Said]:
    """A complaint whose resolve clock runs, with the deadline that it is stamped with."""
    started = ClockStarted(
        clock="resolve",
        cycle=1,
        n=1,
        policy="telecom-handbook@1",
        calendar="china@1",
        target="3 working days",
        starts_at=BEGUN,
        deadline=INSTANT,
        classification=1,
    )
    classify = ClockStarted(
        clock="classify",
        cycle=1,
        n=1,
        policy="telecom-handbook@1",
        calendar="china@1",
        target="1 working day",
        starts_at=BEGUN,
        deadline=BEGUN + timedelta(days=1),
    )
    return [
        (minutes(0), "intake", registered(text, BEGUN)),
        (minutes(0.001), "triage", classified(text)),
        (minutes(0.002), "sla-monitor", classify),
        (minutes(0.002), "sla-monitor", started),
        (minutes(0.003), "sla-monitor", ClockMet(clock="classify", cycle=1, n=1, met_at=BEGUN + minutes(0.001), in_time=True)),
    ]


def registered(text: str, received: datetime) -> ComplaintRegistered:
    return ComplaintRegistered(
        number=NUMBER,
        channel="hotline",
        kind="complaint",
        received_at=received,
        text=text,
        customer="Zhang San",
        phone="13800000000",
        address="Street 12, Building 3",
        service_number="05710000000",
        product="fibre 500",
        area="north",
    )


def classified(text: str) -> ComplaintClassified:
    return ComplaintClassified(
        classification=1,
        category="service_quality",
        sub_category="slow_internet",
        kind="complaint",
        severity="normal",
        taxonomy="telecom@1",
        confidence=0.87,
        evidence=(Evidence(start=2, end=min(6, len(text)), term="slow"), Evidence(start=8, end=12, term="broadband")),
    )


class Life:
    """One course of events, encoded once."""

    def __init__(self, said: Sequence[Said]) -> None:
        self.steps: list[Step] = []
        subject = f"complaint/{PLACEHOLDER}"
        rows: dict[str, tuple[Codec, Row]] = {}
        for after, source, event in said:
            if source not in rows:
                described = importlib.import_module(f"{package(source)}.main").service.verified(12)
                aggregate = described.aggregates["complaint"]
                observed, own = aggregate.facets
                rows[source] = Codec(aggregate), Row(subject, 0, 0, False, observed(), own(), {}, 0, GENESIS)
            codec, row = rows[source]
            provenance = Provenance("timer", PLACEHOLDER.hex, None, f"00-{PLACEHOLDER.hex}-0189000000007000-01")
            item = prepare(CONTRACTS[source], codec, row, [event], BEGUN + after, provenance, cipher=CIPHER, digests=bytes(32))
            for _, version, _, event_type, _, _, value in item.events:
                self.steps.append(Step(source, event_type, version, value))
            rows[source] = codec, replace(row, own=item.own, version=item.version, hash=item.events[-1][5])

    def stamp(self, identity: uuid.UUID, number: str, partitions: int, deadline: datetime | None = None) -> list[Written]:
        """This life as another complaint's. deadline: of its clocks, in the place of INSTANT."""
        subject = f"complaint/{identity}"
        partition = partition_of(subject, partitions)
        old, new = str(PLACEHOLDER).encode(), str(identity).encode()
        last: dict[str, bytes] = {}
        events = []
        for step in self.steps:
            value = step.value.replace(old, new).replace(NUMBER.encode(), number.encode())
            if deadline is not None:
                value = value.replace(_text(INSTANT), _text(deadline))
            prevhash = last.get(step.source, GENESIS)
            digest = last[step.source] = chain(prevhash, value)
            events.append(Written(subject, step.source, step.kind, step.version, prevhash, digest, value, partition))
        return events


def _text(instant: datetime) -> bytes:
    return instant.isoformat(timespec="microseconds")[:-6].encode()


def lives(seed: int) -> Callable[[], Life]:
    """Draws a whole life, longer or shorter, from a few that are encoded now."""
    rng = random.Random(seed)
    made = [Life(whole_life(text, later)) for text in TEXTS for later in (0, 0, 1, 2)]
    return lambda: rng.choice(made)


def number_of(n: int) -> str:
    return f"{n:011}"[:4] + "-" + f"{n:011}"[4:8] + "-" + f"{n:011}"[8:]


def interleaved(draw: Callable[[], Life], events: int, partitions: int, crowd: int = 400) -> Iterator[list[Written]]:
    """About so many events: `crowd` complaints at a time live side by side, so that neighbours on the log are of different complaints."""
    made = 0
    while made < events:
        together = [draw().stamp(uuid.UUID(fresh_id(BEGUN)), number_of(made + n), partitions) for n in range(crowd)]
        page = []
        for step in range(max(map(len, together))):
            page += [life[step] for life in together if step < len(life)]
        made += len(page)
        yield page


async def send(producer: Producer, topic: str, page: Sequence[Written], mac: MacKeys | None) -> None:
    """Onto the log as a relay writes it, signed and batched by partition. mac None: with as many bytes in the place of each MAC."""
    batches: dict[int, Any] = {}
    for event in page:
        key = event.subject.encode()
        own = headers(event.subject, event.source, event.kind, event.version, event.prevhash, event.hash)
        own.append(mac.sign(event.source, topic, key, event.value, event.prevhash, event.hash) if mac else UNSIGNED)
        if event.partition not in batches:
            batches[event.partition] = producer.create_batch()
        if batches[event.partition].append(timestamp=None, key=key, value=event.value, headers=own) is None:
            await (await producer.send_batch(batches[event.partition], topic, partition=event.partition))
            batches[event.partition] = producer.create_batch()
            batches[event.partition].append(timestamp=None, key=key, value=event.value, headers=own)
    for acknowledged in [await producer.send_batch(batch, topic, partition=partition) for partition, batch in batches.items()]:
        await acknowledged


JOURNAL = ["stream", "version", "topic", "type", "prevhash", "hash", "data", "partition"]


def journal_row(event: Written) -> tuple[Any, ...]:
    return event.subject, event.version, LIFECYCLE, event.kind, event.prevhash, event.hash, event.value, event.partition
