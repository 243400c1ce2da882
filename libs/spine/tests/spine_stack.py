"""A small system of two real engines on real servers: an intake that registers, and a handling that opens a case for what it observes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from redress_events.contracts import CONTRACTS
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered
from redress_events.event import Event, Instant
from redress_local.provision import Databases
from redress_spine.aggregate import Aggregate, Automation, Context, Count, Entry, Projection, Table
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import MacKeys
from redress_spine.processing.clock import Clock, wall_clock
from redress_spine.processing.reactor import Reactor
from redress_spine.store import connections
from redress_spine.store.engine import CommandMetadata, Config, Engine, Unavailable
from redress_spine.store.master_keys import MasterKeys
from redress_spine.store.migrate import migrate
from redress_spine.tracing import Tracer

MASTER = bytes(range(32))
MAC = MacKeys({f"{source}.1": sha256(source.encode()).digest() for source in CONTRACTS})
AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observed:
    text: str | None = None
    registered_at: Instant | None = None
    chases: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True)
class Own:
    number: str | None = None
    text: str | None = None
    chases: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True)
class Toy:
    observed: Observed = field(default_factory=Observed)
    own: Own = field(default_factory=Own)


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    match event:
        case ComplaintRegistered():
            return replace(observed, text=event.text, registered_at=at)
        case ComplaintChased():
            return replace(observed, chases=observed.chases + 1)
        case CaseOpened():
            return replace(observed, opened=observed.opened + 1)
    return observed


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case ComplaintRegistered():
            return replace(own, number=event.number, text=event.text)
        case ComplaintChased():
            return replace(own, chases=own.chases + 1)
        case CaseOpened():
            return replace(own, opened=own.opened + 1)
    return own


def entries(event: Event, at: datetime) -> Entry | None:
    """Chases with words, and cases, in the list of what happened."""
    match event:
        case ComplaintChased(text=str()):
            return Entry("history", {"chase": event.chase, "words": event.text})
        case CaseOpened():
            return Entry("history", {"department": event.department}, at)
    return None


def open_case(toy: Toy, context: Context) -> list[Event]:
    return [CaseOpened(cycle=1, routing=1, department="customer_service")]


OPEN = Automation("open", due="observed ? 'registered_at' AND NOT own ? 'opened'", decide=open_case, index="state_pkey")
TOYS = Table("toys", {"what": "text", "n": "bigint", "name": "text"}, key=("what",))
TOYS_SQL = """
-- migrate:up
CREATE TABLE toys (subject text, what text, n bigint NOT NULL, name text, PRIMARY KEY (subject, what));

-- migrate:down
DROP TABLE toys;
"""


def toys(toy: Toy) -> list[tuple[str, int, str | None]]:
    """Up to three rows, of which each has something of both facets. Own chases are in none of them."""
    counts = {"opened": toy.observed.opened + toy.own.opened, "chased": toy.observed.chases, "named": int(toy.own.number is not None)}
    return [(what, n, toy.own.number) for what, n in counts.items() if n]


def stages(toy: Toy) -> list[str]:
    return ["opened" if toy.observed.opened + toy.own.opened else "new"] if toy.observed.text or toy.own.number else []


def digits(text: str) -> str | None:
    return text.replace(" ", "") or None


SHOWN = ("text", "chases", "opened"), ("number", "opened")
PROJECTIONS = (Projection(TOYS, toys, *SHOWN), Count("stage", stages, *SHOWN))
INTAKE_AGGREGATE = Aggregate(
    Toy,
    observe,
    evolve,
    observes=(CaseOpened,),
    entries=entries,
    begun_here=True,
    projections=PROJECTIONS,
    lookups={"phone": digits, "email": str.lower},
    unique=frozenset({"email"}),
)
HANDLING_AGGREGATE = Aggregate(
    Toy, observe, evolve, observes=(ComplaintRegistered, ComplaintChased), entries=entries, projections=PROJECTIONS
)


def registered(
    text: str = "no signal since Sunday", number: str = "X", phone: str | None = None, email: str | None = None
) -> ComplaintRegistered:
    return ComplaintRegistered(number=number, channel="app", kind="complaint", received_at=AT, text=text, phone=phone, email=email)


def with_toys(folder: Path) -> Path:
    """A folder with the migration that makes the toy's table."""
    folder.mkdir(exist_ok=True)
    (folder / "20260101000100_toys.sql").write_text(TOYS_SQL)
    return folder


def metadata(key: str | None = None, request: bytes = b"body") -> CommandMetadata:
    return CommandMetadata("front-end:app", frozenset({"front-end"}), None, "trace-1", None, key, request)


def engine_of(
    source: str,
    dsn: str,
    kafka: KafkaClients | str,
    prefix: str,
    partitions: int,
    *,
    automations: list[Automation] | None = None,
    settle: float = 0.2,
    clock: Clock = wall_clock,
    fold: int = 1,
    reactors: Sequence[Reactor] = (),
    password_file: Path | None = None,
    tracer: Tracer | None = None,
    mac: MacKeys = MAC,
    master: MasterKeys | None = None,
) -> Engine:
    """One replica of intake, handling or another that observes what handling does; not started. work None: what the service has."""
    return Engine(
        source=source,
        aggregates={"complaint": INTAKE_AGGREGATE if source == "intake" else HANDLING_AGGREGATE},
        contract=CONTRACTS[source],
        contracts=CONTRACTS,
        automations=([OPEN] if source == "handling" else []) if automations is None else automations,
        queries=[],
        fold=fold,
        config=Config(dsn, kafka, master or MASTER, mac, partitions, settle, topic_prefix=prefix, password_file=password_file),
        reactors=reactors,
        clock=clock,
        tracer=tracer,
    )


class Stack:
    """One Kafka prefix and a database for each service; engines are made and stopped by name."""

    def __init__(self, kafka: KafkaClients | str, make_database: Callable[[str], Awaitable[Databases]]) -> None:
        self.kafka = kafka
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.partitions = 4
        self.databases: dict[str, Databases] = {}
        self.engines: list[Engine] = []
        self._make_database = make_database

    async def database(self, source: str) -> Databases:
        if source not in self.databases:
            made = await self._make_database(source)
            with TemporaryDirectory() as folder:
                how = {"owner_dsn": made.owner_dsn, "app_role": made.app_role, "service_migrations_dir": with_toys(Path(folder))}
                await migrate(**how, fold=1, partitions=self.partitions)  # type: ignore[arg-type]
            self.databases[source] = made
        return self.databases[source]

    async def engine(
        self,
        source: str = "intake",
        *,
        start: bool = True,
        automations: list[Automation] | None = None,
        kafka: KafkaClients | str | None = None,
        settle: float = 0.2,
        clock: Clock = wall_clock,
        reactors: Sequence[Reactor] = (),
        tracer: Tracer | None = None,
        mac: MacKeys = MAC,
        master: MasterKeys | None = None,
    ) -> Engine:
        made = await self.database(source)
        how: dict[str, Any] = {
            "automations": automations,
            "settle": settle,
            "clock": clock,
            "reactors": reactors,
            "tracer": tracer,
            "mac": mac,
            "master": master,
        }
        engine = engine_of(source, made.app_dsn, kafka or self.kafka, self.prefix, self.partitions, **how)
        if start:
            await engine.start()
            self.engines.append(engine)
        return engine

    async def connect(self, source: str, owner: bool = False) -> asyncpg.Connection:
        made = await self.database(source)
        return await connections.connect(made.owner_dsn if owner else made.app_dsn, server_settings={"search_path": "fold1_1,public"})

    async def stop(self, engine: Engine) -> None:
        self.engines.remove(engine)
        await engine.stop()

    async def end(self) -> None:
        """Stop whoever runs, and ask the broker to delete the topics: one with thousands of partitions gets slower for all that follow."""
        for engine in list(self.engines):
            await self.stop(engine)
        with suppress(KafkaError, OSError):  # a broker that is away keeps them
            admin = KafkaClients.of(self.kafka).admin(request_timeout_ms=5_000)
            try:
                await admin.start()
                await admin.delete_topics([each.name for each in topics.wanted(self.partitions, prefix=self.prefix)])
            finally:
                await admin.close()


async def opened(engine: Engine, subject: str, *refs: str) -> dict[str, str] | None:
    """What these references open to; None while it cannot be had."""
    try:
        return await engine.open(subject, refs)
    except Unavailable:
        return None


async def eventually(check: Callable[[], Awaitable[Any]], within: float = 20.0) -> Any:
    """Ask until the answer is true. Raises AssertionError with the last answer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        began = loop.time()
        answer = await check()
        if answer:
            return answer
        assert loop.time() < end, f"still {answer!r} after {within} s"
        await asyncio.sleep(max(0.02, loop.time() - began))  # those that are asked have half of the time for what they are asked about
