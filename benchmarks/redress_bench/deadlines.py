"""How long after a deadline sla-monitor notices it: a steady stream of deadlines among many open clocks."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from redress_bench.bodies import TEXTS
from redress_bench.figure import Bound, Figure, Line, Progress, percentile
from redress_bench.life import BEGUN, INSTANT, Life, Written, number_of, open_life
from redress_bench.log import lifecycle
from redress_bench.stage import measures, system, wait
from redress_bench.writing import write
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import migrations
from redress_local.system import System
from redress_spine.admin.rebuild import Rebuild
from redress_spine.messaging.mac import MacKeys
from redress_spine.processing.clock import fresh_id

SERVICE = "sla-monitor"
RATE = 500  # deadlines a second
WINDOW = 5  # seconds, for the spread
CROWD = 400
BOUND = (
    "By design half a second: a deadline is judged once the log was read past a point asked for 500 ms after it. The rest is the batch "
    "before it, Python's and PostgreSQL's work for some hundred rows."
)


class TooSlow(Exception):
    """The first deadline passed before the service was ready."""


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    clocks, seconds = (20_000, 10) if quick else (100_000, 30)
    falling = RATE * seconds
    timeout = 2.5
    while True:
        try:
            noticed, logged = _stream(clocks, seconds, timeout, progress)
            break
        except TooSlow:
            timeout *= 2
            if timeout > 10:
                raise
            progress("the machine was too slow to be ready before the first deadline; once more")
    windows = [noticed[n : n + WINDOW * RATE] for n in range(0, falling, WINDOW * RATE)]

    def line(what: str, share: float, limit: Bound | None = None) -> Line:
        each = [percentile(window, share) for window in windows]
        return Line(what, "s", percentile(noticed, share), min(each), max(each), limit)

    return Figure(
        "deadlines",
        f"{RATE} deadlines a second for {seconds} s among {clocks:,} open clocks, `noticed_at` − `deadline` of DeadlineBreached; spread "
        f"over windows of {WINDOW} s.",
        BOUND,
        len(windows),
        [line("noticed after, p50", 0.5), line("noticed after, p99", 0.99, Bound("at most", 1.5))],
        [f"On the log {percentile(logged, 0.5):.2f} s (p50) and {percentile(logged, 0.99):.2f} s (p99) after the deadline."],
    )


def _stream(clocks: int, seconds: int, timeout: float, progress: Progress) -> tuple[list[float], list[float]]:
    """Let them fall. timeout: how much longer than writing the still clocks the rest of the preparation may take."""
    falling = RATE * seconds
    with system([SERVICE]) as stack:
        stack.stop_service(SERVICE)
        life = Life(open_life(TEXTS[2]))
        began = time.monotonic()
        asyncio.run(_write(stack, _still(life, clocks - falling, stack.partitions), progress))
        first = datetime.now(UTC) + timedelta(seconds=timeout * (time.monotonic() - began) + 15)
        asyncio.run(_write(stack, _falling(life, falling, first, stack.partitions), progress))
        rebuilt = asyncio.run(_rebuild(stack))
        stack.start_service(SERVICE)
        wait(lambda: measures(stack.urls[SERVICE]).get("lag_records") == 0, "the log is read", 60)
        left = (first - datetime.now(UTC)).total_seconds()
        progress(f"{rebuilt:,} clocks are open; the first of {falling:,} deadlines is in {left:.0f} s")
        if left < stack.settle_seconds + 1:
            raise TooSlow
        time.sleep(left + seconds)
        wait(lambda: _breached(stack) >= falling, f"{falling} breaches", 60, pause=1.0)
        wait(lambda: measures(stack.urls[SERVICE]).get("backlog_events") == 0, "all is relayed", 30)
        return asyncio.run(_delays(stack.servers.kafka))


def _still(life: Life, count: int, partitions: int) -> Iterator[list[Written]]:
    """Complaints whose deadlines are years away."""
    for start in range(0, count, CROWD):
        made = [life.stamp(UUID(fresh_id(BEGUN)), number_of(start + n), partitions, INSTANT) for n in range(min(CROWD, count - start))]
        yield [each[step] for step in range(len(life.steps)) for each in made]


def _falling(life: Life, count: int, first: datetime, partitions: int) -> Iterator[list[Written]]:
    """Complaints whose deadlines fall one after the other."""
    for start in range(0, count, CROWD):
        instants = [first + timedelta(seconds=n / RATE) for n in range(start, min(start + CROWD, count))]
        made = [life.stamp(UUID(fresh_id(BEGUN)), number_of(10**9 + start + n), partitions, at) for n, at in enumerate(instants)]
        yield [each[step] for step in range(len(life.steps)) for each in made]


async def _write(stack: System, pages: Iterator[list[Written]], progress: Progress) -> None:
    database = stack.databases[SERVICE]
    await write(
        pages,
        kafka=stack.servers.kafka,
        topic=LIFECYCLE,
        source=SERVICE,
        owner_dsn=database.owner_dsn,
        progress=progress,
        mac=MacKeys.read(stack.issuer.mac_keys),
    )


async def _rebuild(stack: System) -> int:
    service = importlib.import_module("redress_sla_monitor.main").service
    database = stack.databases[SERVICE]
    done = await Rebuild(
        service.verified(stack.partitions, MacKeys.read(stack.issuer.mac_keys)),
        fold=service.fold,
        owner_dsn=database.owner_dsn,
        app_role=database.app_role,
        service_migrations_dir=migrations(SERVICE),
        kafka=stack.servers.kafka,
    ).run()
    assert done.parked == 0, done
    return done.states


def _breached(stack: System) -> float:
    """Deadlines that the service has decided since its start."""
    import httpx

    page = httpx.get(stack.urls[SERVICE] + "/metrics", trust_env=False, timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith("redress_automations_total{") and 'work="breach"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'outcome="decided"' in line)


async def _delays(kafka: str) -> tuple[list[float], list[float]]:
    """Seconds from each deadline to its being noticed, and to the broker's taking the event, in order of the deadlines."""
    found = []
    async for event, taken in lifecycle(kafka):
        if event.type == "redress.sla-monitor.deadline-breached.v1":
            deadline = datetime.fromisoformat(event.data["deadline"])
            noticed = (datetime.fromisoformat(event.data["noticed_at"]) - deadline).total_seconds()
            found.append((deadline, noticed, taken / 1000 - deadline.timestamp()))
    found.sort()
    return [each[1] for each in found], [each[2] for each in found]
