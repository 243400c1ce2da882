"""3,000 complaints at once: how the front door answers meanwhile and while they are worked off, and how fast that is, by one process of
each service and by two."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from redress_bench.bodies import bodies
from redress_bench.figure import Bound, Figure, Line, Progress, percentile
from redress_bench.latency import times, until_the_clock_runs
from redress_bench.load import Load, Measured, drive
from redress_bench.side import of_this
from redress_bench.stage import drained, system
from redress_local.places import SERVICES
from redress_spine.store import connections

BURST = 3_000
CLIENTS = 32
# Of the resolve clocks that sla-monitor's journal has.
CLOCKS = "SELECT count(*) FROM events WHERE type = 'redress.sla-monitor.clock-started.v1' AND position('\"resolve\"'::bytea IN data) > 0"
PROBE = 20.0  # registrations a second by whom the front door is measured while it is worked off
WARM = 5.0  # seconds
BOUND = (
    "Processor time: a burst is taken faster than it is worked off, so all processes want all processors for its whole length. Intake is "
    "asked first; PostgreSQL and Kafka serve all alike."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    rounds = 1 if quick else 3
    met: list[float] = []
    during: list[float] = []
    after: list[float] = []
    worked = {1: list[float](), 2: list[float]()}
    for n in range(rounds):
        for replicas in (1, 2) if n % 2 == 0 else (2, 1):
            with system(SERVICES, replicas=replicas) as started:
                side = of_this(started)
                urls = [*started.urls.values(), *(url for each in started.further_urls.values() for url in each)]
                drive(Load(side.complaints, bodies(seed), WARM, 64, 30.0, side.front_end()))
                drained(urls)
                dsn = started.databases["sla-monitor"].owner_dsn
                taken, probed, seconds = _burst(side.complaints, side.front_end(), side.kafka, dsn, seed, urls)
            worked[replicas].append(taken.answers / seconds)
            if replicas == 1:
                met.append(taken.rate)
                during.append(percentile(taken.latencies, 0.99) * 1_000)
                after.append(percentile(probed.latencies, 0.99) * 1_000)
            progress(
                f"{replicas} {'process' if replicas == 1 else 'processes'} of each: {taken.rate:.0f}/s taken, p99 "
                f"{percentile(taken.latencies, 0.99) * 1_000:.0f} ms; then p99 {percentile(probed.latencies, 0.99) * 1_000:.0f} ms; "
                f"{worked[replicas][-1]:.0f}/s worked off"
            )
    ratio = [two / one for one, two in zip(worked[1], worked[2], strict=True)]
    return Figure(
        "burst",
        f"{BURST:,} registrations by {CLIENTS} clients, each as fast as it is answered, and {PROBE:.0f} a second from their end until all "
        f"have their resolve clocks; whole system of {len(SERVICES)} services on {psutil.cpu_count()} processors.",
        BOUND,
        rounds,
        [
            Line.of("registrations answered during the burst", "/s", met),
            Line.of(f"answered within, {CLIENTS} clients during the burst, p99", "ms", during),
            Line.of("answered within, while it is worked off, p99", "ms", after, Bound("at most", 250, 100)),
            Line.of("its resolve clocks started, from its first registration to its last clock", "/s", worked[1]),
            Line.of("the same by two processes of each service", "/s", worked[2]),
            Line.of("two ÷ one", "", ratio, Bound("at least", 0.8)),
        ],
    )


def _burst(url: str, token: str, kafka: str, dsn: str, seed: int, urls: list[str]) -> tuple[Measured, Measured, float]:
    """→ the burst, who came while it was worked off, and the seconds from the burst's first registration to its last clock."""
    before = asyncio.run(times(kafka))[0]
    taken = drive(Load(url, bodies(seed), 600.0, CLIENTS, None, token, most=BURST))
    probes: list[Measured] = []
    done = threading.Event()

    def probe() -> None:
        while not done.is_set():
            probes.append(drive(Load(url, bodies(seed), 2.0, CLIENTS, PROBE, token)))

    with ThreadPoolExecutor(1) as threads:
        probing = threads.submit(probe)
        try:
            asyncio.run(_worked_off(dsn, len(before) + taken.answers))
        finally:
            done.set()
    probing.result()
    probed = Measured(sum(each.answers for each in probes), 0, 0.0, [latency for each in probes for latency in each.latencies])
    drained(urls)
    found = asyncio.run(times(kafka))
    fresh, _ = until_the_clock_runs(found, before, taken.answers + probed.answers)
    burst = sorted(fresh, key=fresh.__getitem__)[: taken.answers]  # they came first
    return taken, probed, (max(found[1][subject] for subject in burst) - fresh[burst[0]]).total_seconds()


async def _worked_off(dsn: str, count: int) -> None:
    """Until so many resolve clocks were started."""
    end = time.monotonic() + 300
    connection = await connections.connect(dsn)
    while await connection.fetchval(CLOCKS) < count:
        if time.monotonic() > end:
            raise TimeoutError("The burst was not worked off within five minutes.")
        await asyncio.sleep(0.5)
    await connection.close()
