"""Events a second that the relay ships from a backlog, over aiokafka's bare send_batch of the same bytes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import uvloop

from redress_bench.figure import Bound, Figure, Line, Progress, ratios
from redress_bench.life import JOURNAL, MAC, Written, interleaved, journal_row, lives, send
from redress_bench.stage import system
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import migrations
from redress_local.provision import Databases, provision
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.relay import PAGE, Relay
from redress_spine.messaging.topics import Topics
from redress_spine.store import connections
from redress_spine.store.database import PLANS
from redress_spine.store.migrate import migrate

SOURCE = "handling"  # its events are many, and no keys go before them
PARTITIONS = 12
BOUND = (
    "Python on one core: reading the page from PostgreSQL and making keys and headers come on top of aiokafka's own work for each "
    "record, and the checkpoint moves before the next page goes."
)


@dataclass
class JournalPages:
    """Instants at which pages were acknowledged. The first is not counted: connecting and asking for metadata are no shipping."""

    at: list[float] = field(default_factory=list)

    def tick(self) -> None:
        self.at.append(time.perf_counter())

    def rate(self, events: int) -> float:
        return (events - PAGE) / (self.at[-1] - self.at[0])


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    events, rounds = (10_000, 3) if quick else (40_000, 7)
    with system([]) as stack:
        return uvloop.run(_measure(stack.servers.kafka, stack.servers.postgres, events, rounds, seed, progress))


async def _measure(kafka: str, postgres: str, events: int, rounds: int, seed: int, progress: Progress) -> Figure:
    for prefix in ("relay.", "bare."):
        await topics.ensure(kafka=kafka, partitions=PARTITIONS, prefix=prefix)
    database = await provision(postgres, SOURCE, database="bench_relay")
    await migrate(owner_dsn=database.owner_dsn, app_role=database.app_role, service_migrations_dir=migrations(SOURCE), fold=1)
    backlog = await _backlog(database, events, seed)
    size = sum(len(event.value) for event in backlog) / len(backlog)
    pairs = []
    for n in range(rounds + 1):
        one, other = await _relayed(kafka, database, len(backlog)), await _bare(kafka, backlog)
        if n:  # the first warms up
            pairs.append((one, other))
            progress(f"round {n} of {rounds}: {one:,.0f}/s against {other:,.0f}/s, {one / other:.2f}")
    return Figure(
        "relay",
        f"A backlog of {len(backlog):,} events of {size:.0f} bytes: the relay (journal, keys, order, acknowledgement, checkpoint; pages of "
        f"{PAGE:,}) over create_batch and send_batch of the same records from memory, same producer settings, same pages.",
        BOUND,
        rounds,
        [
            Line.of("relay ÷ bare send_batch", "", ratios(pairs), Bound("at least", 0.5, 0.6)),
            Line.of("relay", "events/s", [one for one, _ in pairs]),
            Line.of("bare send_batch", "events/s", [other for _, other in pairs]),
        ],
    )


async def _backlog(database: Databases, events: int, seed: int) -> list[Written]:
    backlog: list[Written] = []
    for page in interleaved(lives(seed), 10 * events, PARTITIONS):
        backlog += [event for event in page if event.source == SOURCE]
        if len(backlog) >= events:
            break
    connection = await connections.connect(database.owner_dsn)
    for start in range(0, events, 1000):
        rows = [journal_row(event) for event in backlog[start : start + 1000]]
        await connection.copy_records_to_table("events", records=rows, columns=JOURNAL, schema_name="public")
    await connection.execute("VACUUM ANALYZE public.events")
    await connection.close()
    return backlog[:events]


async def _relayed(kafka: str, database: Databases, events: int) -> float:
    """One run of the relay over the whole backlog."""
    owner = await connections.connect(database.owner_dsn)
    await owner.execute("UPDATE public.relay_checkpoint SET transaction_id = '0', global_position = 0")
    pages = JournalPages()
    arrived = asyncio.Event()

    def sent() -> None:
        pages.tick()
        if len(pages.at) * PAGE >= events:
            arrived.set()

    log_end = LogEnd(SOURCE, kafka)
    relay = Relay(
        source=SOURCE,
        kafka=kafka,
        topics=Topics("relay."),
        partitions=PARTITIONS,
        mac=MAC,
        connect=lambda: connections.connect(database.app_dsn, server_settings={"search_path": "fold1_1,public", **PLANS}),
        topics_now=lambda: log_end.topics(["relay." + LIFECYCLE]),
        sent=sent,
    )
    running = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(60):
            await arrived.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])
        await log_end.stop()
        await owner.close()
    return pages.rate(events)


async def _bare(kafka: str, backlog: list[Written]) -> float:
    producer = KafkaClients.of(kafka).producer(
        acks="all", enable_idempotence=True, max_batch_size=1_000_000, max_request_size=1_048_576, linger_ms=0
    )
    await producer.start()
    pages = JournalPages()
    try:
        for start in range(0, len(backlog), PAGE):
            await send(producer, "bare." + LIFECYCLE, backlog[start : start + PAGE], None)
            pages.tick()
    finally:
        await producer.stop()
    return pages.rate(len(backlog))
