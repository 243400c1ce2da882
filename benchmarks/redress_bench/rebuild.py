"""Events a second of a service's rebuild, at a short log and at one ten times as long, over reading the same log for next to nothing."""

from __future__ import annotations

import asyncio
import importlib
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from hashlib import sha256

import orjson
from aiokafka import TopicPartition

from redress_bench.figure import Bound, Figure, Line, Progress
from redress_bench.life import MAC, interleaved, lives
from redress_bench.stage import system
from redress_bench.writing import write
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import migrations, package
from redress_local.provision import Databases, provision
from redress_spine.admin import filling_process
from redress_spine.admin.filling import log_consumer
from redress_spine.admin.rebuild import Rebuild, Rebuilt
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.whole_log import ahead, bounds
from redress_spine.store import connections
from redress_spine.store.migrate import migrate

SERVICE = "intake"  # of all services it listens to the most types: the slowest to rebuild
PARTITIONS = 12
WANTED = Bound("at least", 0.33, 0.5)  # of bare: 20,000 and 30,000 events a second on a machine where that does 60,000
BOUND = (
    "Python: judging each record (JSON, chain, model) and folding it take nearly all of the time, in a process for each core (three "
    "more at most); Kafka and PostgreSQL take their part of the same cores, and a process is of use a second after it began."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    short, long, rounds = (20_000, 100_000, 1) if quick else (100_000, 1_000_000, 3)
    with system([]) as stack:
        return asyncio.run(_measure(stack.servers.kafka, stack.servers.postgres, short, long, rounds, seed, progress))


async def _measure(kafka: str, postgres: str, short: int, long: int, rounds: int, seed: int, progress: Progress) -> Figure:
    written: dict[str, int] = {}
    databases: dict[str, Databases] = {}
    for name, events in (("short", short), ("long", long)):
        databases[name] = await _filled(kafka, postgres, name, events, seed, progress)
    rates: dict[str, list[float]] = {"short": [], "long": [], "alone": [], "long alone": [], "bare": []}
    for n in range(rounds):
        rates["bare"].append(await _bare(kafka, "short", databases["short"]))
        progress(f"bare: {rates['bare'][-1]:,.0f}/s")
        # The long one twice, and once by one process: it takes most of the time.
        for name in (("short", "alone", "long", "long alone"), ("short", "alone", "long"), ("short", "alone"))[min(n, 2)]:
            log = name.removesuffix("alone").strip() or "short"
            with _alone() if name.endswith("alone") else nullcontext():
                done = await _rebuild(kafka, log, databases[log])
            assert done.parked == 0, done
            written[name] = done.events
            rates[name].append(done.events / done.seconds)
            progress(f"{done.events:,} events, {done.states:,} states in {done.seconds:.1f} s, {rates[name][-1]:,.0f}/s")
    brought = [each / alone for each, alone in zip(rates["short"], rates["alone"], strict=True)]
    brought_long = [statistics.median(rates["long"]) / rates["long alone"][0]]
    share = [each / bare for each, bare in zip(rates["short"], rates["bare"], strict=True)]
    long_share = [each / bare for each, bare in zip(rates["long"], rates["bare"], strict=False)]
    quotient = [statistics.median(rates["long"]) / statistics.median(rates["short"])]
    return Figure(
        "rebuild",
        f"`redress rebuild {SERVICE}` from a log of whole lives of complaints (13 to 24 events each), from its start to the swap, over one "
        "process that reads the short log, checks hashes, decodes the JSON, and copies each complaint's last event into a table.",
        BOUND,
        rounds,
        [
            Line.of(f"rebuild at {written['short']:,} events ÷ bare", "", share, WANTED),
            Line.of(f"rebuild at {written['long']:,} events ÷ bare", "", long_share, WANTED),
            Line.of(f"rebuild at {written['short']:,} events", "events/s", rates["short"]),
            Line.of(f"rebuild at {written['long']:,} events", "events/s", rates["long"]),
            Line.of("bare", "events/s", rates["bare"]),
            Line.of("long ÷ short", "", quotient, Bound("at least", 0.9)),
            Line.of("all cores ÷ one process, short", "", brought),
            Line.of("all cores ÷ one process, long", "", brought_long, Bound("at least", 1.7)),
        ],
    )


@contextmanager
def _alone() -> Iterator[None]:
    """As on a machine with one core."""
    each, filling_process.EACH = filling_process.EACH, sys.maxsize
    try:
        yield
    finally:
        filling_process.EACH = each


async def _bare(kafka: str, name: str, database: Databases) -> float:
    """Events a second."""
    began = time.perf_counter()
    consumer = log_consumer(KafkaClients.of(kafka))
    await consumer.start()
    connection = await connections.connect(database.owner_dsn)
    try:
        log = await bounds(consumer, [TopicPartition(f"{name}.{LIFECYCLE}", n) for n in range(PARTITIONS)])
        await connection.execute("CREATE TEMPORARY TABLE bare (subject text PRIMARY KEY, value jsonb)")
        for place, (start, end) in log.items():
            last: dict[str, str] = {}
            async for records in ahead(consumer, place, start, end):
                for record in records:
                    if record.value is None or sha256(record.headers["prevhash"] + record.value).digest() != record.headers["hash"]:
                        raise ValueError(f"{place} has a wrong record at {record.offset}.")
                    last[orjson.loads(record.value)["subject"]] = record.value.decode()
            await connection.copy_records_to_table("bare", records=list(last.items()))
        return sum(end - start for start, end in log.values()) / (time.perf_counter() - began)
    finally:
        await consumer.stop()
        await connection.close()


async def _filled(kafka: str, postgres: str, name: str, events: int, seed: int, progress: Progress) -> Databases:
    prefix = f"{name}."
    await topics.ensure(kafka=kafka, partitions=PARTITIONS, prefix=prefix)
    database = await provision(postgres, SERVICE, database=f"bench_{name}")
    service = importlib.import_module(f"{package(SERVICE)}.main").service
    await migrate(owner_dsn=database.owner_dsn, app_role=database.app_role, service_migrations_dir=migrations(SERVICE), fold=service.fold)
    pages = interleaved(lives(seed), events, PARTITIONS)
    await write(pages, kafka=kafka, topic=prefix + LIFECYCLE, source=SERVICE, owner_dsn=database.owner_dsn, progress=progress)
    return database


async def _rebuild(kafka: str, name: str, database: Databases) -> Rebuilt:
    service = importlib.import_module(f"{package(SERVICE)}.main").service
    return await Rebuild(
        replace(service.verified(PARTITIONS, MAC), topic_prefix=f"{name}."),
        fold=service.fold,
        owner_dsn=database.owner_dsn,
        app_role=database.app_role,
        service_migrations_dir=migrations(SERVICE),
        kafka=kafka,
        master=bytes(32),
    ).run()
