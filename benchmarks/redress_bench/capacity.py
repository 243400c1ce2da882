"""What a complaint costs until its resolve clock runs, and how long that takes, at rising rates; and what the system costs idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import psutil

from redress_bench.bodies import bodies
from redress_bench.figure import Bound, Figure, Line, Progress, percentile
from redress_bench.latency import times, until_the_clock_runs
from redress_bench.load import Load, drive
from redress_bench.stage import drained, system
from redress_local.places import SERVICES

RATES = (30, 60, 100, 150, 200, 300)  # registrations a second, until the slowest is slower than STEADY
STEADY = 1_000.0  # ms
WARM = 5.0  # seconds
AFTER = 2.0  # seconds until what was registered last has been worked off, and counts as processor time
P99 = {30: Bound("at most", 200, 120), 100: Bound("at most", 400, 250)}
BOUND = (
    "Processor time: a complaint is some seven events until its clock runs, each folded by five services. What many share gets cheaper "
    "with the rate: a fetch, a batch, a page and a commit cost the same for one event as for thirty."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    seconds = 8.0 if quick else 20.0
    lines: list[Line] = []
    notes: list[str] = []
    steady = 0
    with system(SERVICES) as stack:
        pids = stack.stack().pids
        token = stack.issuer.mint("front-end", "bench", ttl=3600)
        load = Load(stack.urls["intake"] + "/complaints", bodies(seed), WARM, 64, float(RATES[0]), token)
        drive(load)
        drained(list(stack.urls.values()))
        idle = _spent(pids, seconds)
        share = 100 * sum(idle.values()) / 1_000 / (psutil.cpu_count() or 1)
        progress(f"idle: {share:.1f} % of the processors")
        for rate in RATES[:3] if quick else RATES:
            before = asyncio.run(times(stack.servers.kafka))[0]
            load.seconds, load.rate = seconds, float(rate)
            began, spent = time.monotonic(), _processor_time(pids)
            seen = drive(load)
            time.sleep(AFTER)
            spent = {name: value - spent[name] for name, value in _processor_time(pids).items()}
            took_all = time.monotonic() - began
            drained(list(stack.urls.values()))
            _, took = until_the_clock_runs(asyncio.run(times(stack.servers.kafka)), before, seen.answers)
            cost = {name: (value - idle[name] * took_all) / seen.answers for name, value in spent.items()}
            p50, p99 = (percentile(list(took.values()), each) for each in (0.5, 0.99))
            lines += [
                Line(f"{rate}/s: p50", "ms", p50, p50, p50),
                Line(f"{rate}/s: p99", "ms", p99, p99, p99, P99.get(rate)),
                Line(f"{rate}/s: processor time for a complaint", "ms", total := sum(cost.values()), total, total),
            ]
            notes.append(f"{rate}/s by process: " + ", ".join(f"{name} {value:.1f}" for name, value in cost.items()) + " ms.")
            progress(f"{rate}/s: p50 {p50:.0f} ms, p99 {p99:.0f} ms, {total:.1f} ms of processor time for a complaint")
            if p99 > STEADY or seen.answers < 0.95 * rate * seconds:
                break
            steady = rate
    lines.append(Line("highest of these rates with p99 of a second at most", "/s", steady, steady, steady))
    lines.append(Line("idle system", "% of the processors", share, share, share))
    return Figure(
        "capacity",
        f"Registrations at a steady rate for {seconds:.0f} s each, whole system of {len(SERVICES)} services on {psutil.cpu_count()} "
        "processors: `time` of ComplaintRegistered to `time` of the resolve clock's ClockStarted; processor time of all services, Kafka "
        "and PostgreSQL, less what they take idle.",
        BOUND,
        1,
        lines,
        notes,
    )


def _spent(pids: Mapping[str, int], seconds: float) -> dict[str, float]:
    """ms of processor time a second, by process."""
    before = _processor_time(pids)
    time.sleep(seconds)
    return {name: (value - before[name]) / seconds for name, value in _processor_time(pids).items()}


def _processor_time(pids: Mapping[str, int]) -> dict[str, float]:
    """ms, of each process with its children, by name."""
    return {name: _of(psutil.Process(pid)) for name, pid in pids.items() if name in (*SERVICES, "kafka", "postgres")}


def _of(process: psutil.Process) -> float:
    taken = process.cpu_times()
    seconds = taken.user + taken.system + taken.children_user + taken.children_system
    for child in process.children(recursive=True):
        try:
            its = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += its.user + its.system
    return seconds * 1_000
