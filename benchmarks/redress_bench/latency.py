"""From ComplaintRegistered to the start of the resolve clock, across intake, triage and sla-monitor, at a steady rate."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime

from redress_bench.bodies import bodies
from redress_bench.figure import Bound, Figure, Line, Progress, percentile
from redress_bench.load import Load, drive
from redress_bench.log import lifecycle
from redress_bench.stage import drained, system
from redress_local.places import SERVICES

RATE = 100.0  # registrations a second
WARM = 5.0  # seconds
WINDOW = 10  # seconds, for the spread
BOUND = (
    "Processor time: each service folds every event, so a registration costs some thirty folds and commits on two cores, and what waits "
    "behind another service's batch is the tail."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    seconds = 15.0 if quick else 60.0
    with system(SERVICES) as stack:
        token = stack.issuer.mint("front-end", "bench", ttl=3600)
        load = Load(stack.urls["intake"] + "/complaints", bodies(seed), WARM, 64, RATE, token)
        drive(load)
        drained(list(stack.urls.values()))
        before = asyncio.run(times(stack.servers.kafka))[0]
        progress(f"{RATE:.0f} registrations a second for {seconds:.0f} s")
        load.seconds = seconds
        seen = drive(load)
        progress(f"answered, p99 {percentile(seen.latencies, 0.99) * 1000:.0f} ms; waiting until all is read")
        drained(list(stack.urls.values()))
        fresh, took = until_the_clock_runs(asyncio.run(times(stack.servers.kafka)), before, seen.answers)
    first = min(fresh.values())
    windows: dict[int, list[float]] = {}
    for subject, milliseconds in took.items():
        windows.setdefault(int((fresh[subject] - first).total_seconds() // WINDOW), []).append(milliseconds)
    full = [each for each in windows.values() if len(each) > RATE * WINDOW / 2]

    def line(what: str, share: float, limit: Bound | None = None) -> Line:
        each = [percentile(window, share) for window in full]
        return Line(what, "ms", percentile(list(took.values()), share), min(each), max(each), limit)

    return Figure(
        "latency",
        f"`time` of ComplaintRegistered to `time` of the resolve clock's ClockStarted, {RATE:.0f} registrations a second for {seconds:.0f} "
        f"s, whole system of {len(SERVICES)} services; {len(took):,} complaints; spread over windows of {WINDOW} s.",
        BOUND,
        len(full),
        [line("p50", 0.5), line("p99", 0.99, Bound("at most", 500, 250))],
        [f"Registering itself was answered within {percentile(seen.latencies, 0.99) * 1000:.0f} ms (p99)."],
    )


def until_the_clock_runs(
    found: tuple[Mapping[str, datetime], Mapping[str, datetime]], before: Collection[str], answers: int
) -> tuple[Mapping[str, datetime], Mapping[str, float]]:
    """Of the complaints that were not there before: when each was registered, and after how many ms its clock was started. Raises
    RuntimeError where one has none."""
    registered, started = found
    fresh = {subject: at for subject, at in registered.items() if subject not in before}
    missing = fresh.keys() - started.keys()
    if missing or len(fresh) != answers:
        raise RuntimeError(f"{len(missing)} of {len(fresh)} registrations have no resolve clock; {answers} were answered.")
    return fresh, {subject: (started[subject] - at).total_seconds() * 1000 for subject, at in fresh.items()}


async def times(kafka: str) -> tuple[Mapping[str, datetime], Mapping[str, datetime]]:
    """By subject: when it was registered, and when its resolve clock was started."""
    registered: dict[str, datetime] = {}
    started: dict[str, datetime] = {}
    async for event, _ in lifecycle(kafka):
        if event.type == "redress.intake.complaint-registered.v1":
            registered[event.subject] = event.time
        elif event.type == "redress.sla-monitor.clock-started.v1" and event.data["clock"] == "resolve":
            started.setdefault(event.subject, event.time)
    return registered, started
