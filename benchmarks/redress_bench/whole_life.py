"""A complaint's whole life, from registered to closed, over HTTP: how many events it is, what processor time it takes, and what disk."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import httpx
import psutil

from redress_bench.bodies import TEXTS
from redress_bench.figure import Figure, Line, Progress
from redress_bench.latency import times
from redress_bench.load import Load, drive
from redress_bench.log import lifecycle
from redress_bench.side import MeasuredSystem, of_this
from redress_bench.stage import drained, system
from redress_local.places import SERVICES
from redress_local.system import System
from redress_spine.store import connections

TEXT = TEXTS[0]  # of one department, and nobody has to review it
BODY = {
    "channel": "app",
    "text": TEXT,
    "customer": "customer",
    "phone": "13800000000",
    "service_number": "05710000000",
    "product": "fibre 500",
}
RATE = 30.0  # commands a second
WARM = 5.0  # seconds
DONE = {"cause": "Faulty port", "measures": "Port exchanged", "responsible_unit": "Field team 2", "told_customer": "phone"}
HANDLED: Sequence[tuple[str, Mapping[str, object]]] = (
    ("accept", {}),
    ("contact", {"means": "phone", "note": "Apologised and asked since when."}),
    ("progress", {"note": "Found the cause."}),
    ("resolve", DONE),
)
CALLED = {"reached": True, "solved": True, "satisfaction": 5, "words": "谢谢"}
TABLES = """
SELECT n.nspname, sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY n.nspname
"""
BOUND = (
    "Processor time: each event is folded by five services, whoever decided it; steps that people take come singly, so few share a page."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    count = 60 if quick else 200
    with system(SERVICES) as started:
        side = of_this(started)
        urls = list(started.urls.values())
        load = Load(side.complaints, [json.dumps(BODY, ensure_ascii=False)], WARM, 64, RATE, side.front_end())
        drive(load)
        drained(urls)
        before, held = asyncio.run(times(side.kafka))[0].keys(), disk(started)
        idle = side.spends(10.0)
        began, spent = time.monotonic(), side.processor_time()
        load.seconds = count / RATE
        drive(load)
        drained(urls)
        ours = sorted(asyncio.run(times(side.kafka))[0].keys() - before)
        departments = asyncio.run(_departments(side.kafka))
        for what in _worked(side, {each: departments[each] for each in ours}):
            progress(f"{what}, {len(ours)} complaints")
            drained(urls)
        took = time.monotonic() - began
        cost = {name: (value - spent[name] - idle[name] * took) / len(ours) for name, value in side.processor_time().items()}
        kinds = asyncio.run(_kinds(side.kafka, set(ours)))
        grown = {what: (size - held[what]) / len(ours) / 1024 for what, size in disk(started).items()}
    if kinds["complaint-closed"] != len(ours):
        raise RuntimeError(f"{kinds['complaint-closed']} of {len(ours)} complaints were closed.")
    events, whole = sum(kinds.values()) / len(ours), sum(cost.values())
    return Figure(
        "whole_life",
        f"{len(ours)} complaints registered, routed, accepted, customers contacted, progress told, resolved, called back and closed, "
        f"{RATE:.0f} commands a second over HTTP, whole system of {len(SERVICES)} services on {psutil.cpu_count()} processors; processor "
        "time of all services, Kafka and PostgreSQL without what they take idle.",
        BOUND,
        1,
        [
            Line("events of a complaint", "", events, events, events),
            Line("processor time for a complaint", "ms", whole, whole, whole),
            Line("processor time for an event", "ms", whole / events, whole / events, whole / events),
            *(Line(f"disk for a complaint: {what}", "KiB", size, size, size) for what, size in grown.items()),
        ],
        [
            "By process: " + ", ".join(f"{name} {value:.1f}" for name, value in cost.items()) + " ms.",
            "Events: " + ", ".join(f"{name} {number / len(ours):.3g}" for name, number in sorted(kinds.items())) + ".",
        ],
    )


def disk(started: System) -> dict[str, int]:
    """Bytes of the journals and keys, of the states that can be made anew, each with its indexes, and of one copy of the topics. Neither
    PostgreSQL's log of writes nor rows that a vacuum frees are in it."""
    found = asyncio.run(_tables(started))
    topics = started.servers.kafka_server.folder.rglob("complaints*/*.log") if started.servers.kafka_server else ()
    return {**found, "Kafka, one replica": sum(file.stat().st_size for file in topics)}


async def _tables(started: System) -> dict[str, int]:
    found = {"journals": 0, "states": 0}
    for databases in started.databases.values():
        connection = await connections.connect(databases.owner_dsn)
        try:
            await connection.execute("VACUUM")
            for schema, size in await connection.fetch(TABLES):
                found["journals" if schema == "public" else "states"] += size
        finally:
            await connection.close()
    return found


def _worked(side: MeasuredSystem, complaints: Mapping[str, str]) -> Iterator[str]:
    """Each step for all of them, one after the other. complaints: their departments."""
    handlers = {each: side.issuer.mint("handler", "bench", department=each, ttl=7200) for each in set(complaints.values())}
    agent = side.issuer.mint("agent", "bench-visits", ttl=7200)  # who resolves does not judge
    ids = {subject: subject.partition("/")[2] for subject in complaints}
    for step, body in HANDLED:
        urls = {subject: f"{side.urls['handling']}/cases/{ids[subject]}/{step}" for subject in complaints}
        _commands([(urls[subject], handlers[department]) for subject, department in complaints.items()], body)
        yield step
    _commands([(f"{side.urls['callback']}/visits/{ids[subject]}/attempts", agent) for subject in complaints], CALLED)
    yield "called back"


def _commands(commands: Sequence[tuple[str, str]], body: Mapping[str, object]) -> None:
    """At a steady rate, each to an address by a token. Raises RuntimeError where one is refused."""
    with httpx.Client(timeout=30, trust_env=False) as client:
        began = time.monotonic()
        for n, (url, token) in enumerate(commands):
            time.sleep(max(0.0, began + n / RATE - time.monotonic()))
            answer = client.post(url, json=body, headers={"idempotency-key": uuid.uuid4().hex, "authorization": f"Bearer {token}"})
            if answer.status_code != 200:
                raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:300]}")


async def _departments(kafka: str) -> dict[str, str]:
    routed = "redress.triage.complaint-routed.v1"
    return {event.subject: event.data["department"] async for event, _ in lifecycle(kafka) if event.type == routed}


async def _kinds(kafka: str, complaints: set[str]) -> Counter[str]:
    found = Counter[str]()
    async for event, _ in lifecycle(kafka):
        if event.subject in complaints:
            found[event.type.split(".")[-2]] += 1
    return found
