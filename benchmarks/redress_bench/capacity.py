"""What a complaint costs until its resolve clock runs, and how long that takes, at rising rates; and what the system costs idle.

With another checkout beside it (AGAINST=DIR) both systems are up, and each rate is measured on one and then on the other.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from redress_bench.bodies import bodies
from redress_bench.figure import Bound, Figure, Line, Progress, percentile
from redress_bench.latency import times, until_the_clock_runs
from redress_bench.load import Load, drive
from redress_bench.side import MeasuredSystem, sides
from redress_bench.stage import drained
from redress_local.places import SERVICES

RATES = (30, 60, 100, 150, 200, 300)  # registrations a second, until the slowest is slower than STEADY
STEADY = 1_000.0  # ms
WARM = 5.0  # seconds
AFTER = 2.0  # seconds until what was registered last has been worked off, and counts as processor time
P99 = {30: Bound("at most", 200, 120), 100: Bound("at most", 400, 250)}
IDLE = Bound("at most", 3, 1)
BOUND = (
    "Processor time: a complaint is some seven events until its clock runs, each folded by five services. What many share gets cheaper "
    "with the rate: a fetch, a batch, a page and a commit cost the same for one event as for thirty."
)


@dataclass
class RateStep:
    """One rate on one side. p50, p99 in ms. cost: ms of processor time for a complaint without what the system takes idle, by process;
    all: with it."""

    p50: float
    p99: float
    cost: dict[str, float]
    all: float
    held: bool


@dataclass
class Ramp:
    """What was measured on one side. idle: ms of processor time a second, by process."""

    side: MeasuredSystem
    load: Load
    idle: dict[str, float] = field(default_factory=dict)
    steps: dict[int, RateStep] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the processors, in percent, idle."""
        return 100 * sum(self.idle.values()) / 1_000 / (psutil.cpu_count() or 1)

    @property
    def steady(self) -> int:
        return max((rate for rate, step in self.steps.items() if step.held), default=0)


def measure(quick: bool, seed: int, progress: Progress, against: Path | None = None) -> Figure:
    seconds = 8.0 if quick else 20.0
    with sides(against) as measured:
        ramps = [Ramp(side, Load(side.complaints, bodies(seed), WARM, 64, float(RATES[0]), side.front_end())) for side in measured]
        for ramp in ramps:
            drive(ramp.load)
        for ramp in ramps:
            drained(list(ramp.side.urls.values()))
            time.sleep(WARM)
            ramp.idle = ramp.side.spends(seconds)
            progress(f"{ramp.side.name} idle: {ramp.share:.1f} % of the processors".lstrip())
        for rate in RATES[:3] if quick else RATES:
            for ramp in ramps:
                if all(step.held for step in ramp.steps.values()):
                    step = ramp.steps[rate] = _at(ramp, float(rate), seconds)
                    told = (
                        f"p50 {step.p50:.0f} ms, p99 {step.p99:.0f} ms, {sum(step.cost.values()):.1f} ms of processor time for a complaint"
                    )
                    progress(f"{ramp.side.name} {rate}/s: {told}".lstrip())
    return Figure(
        "capacity",
        f"Registrations at a steady rate for {seconds:.0f} s each, whole system of {len(SERVICES)} services on {psutil.cpu_count()} "
        "processors: `time` of ComplaintRegistered to `time` of the resolve clock's ClockStarted; processor time of all services, Kafka "
        "and PostgreSQL, without what they take idle, and with it." + (f" Beside {ramps[0].side.name}, in turn." if against else ""),
        BOUND,
        1,
        [line for ramp in ramps for line in _lines(ramp)] + (_compared(*ramps) if against else []),
        [note for ramp in ramps for note in _notes(ramp)],
    )


def _at(ramp: Ramp, rate: float, seconds: float) -> RateStep:
    side, load = ramp.side, ramp.load
    before = asyncio.run(times(side.kafka))[0]
    load.seconds, load.rate = seconds, rate
    began, spent = time.monotonic(), side.processor_time()
    seen = drive(load)
    time.sleep(AFTER)
    spent = {name: value - spent[name] for name, value in side.processor_time().items()}
    took_all = time.monotonic() - began
    drained(list(side.urls.values()))
    _, took = until_the_clock_runs(asyncio.run(times(side.kafka)), before, seen.answers)
    cost = {name: (value - ramp.idle[name] * took_all) / seen.answers for name, value in spent.items()}
    p50, p99 = (percentile(list(took.values()), each) for each in (0.5, 0.99))
    whole = (sum(spent.values()) - sum(ramp.idle.values()) * (took_all - seconds)) / seen.answers
    return RateStep(p50, p99, cost, whole, p99 <= STEADY and seen.answers >= 0.95 * rate * seconds)


def _lines(ramp: Ramp) -> list[Line]:
    ours = not ramp.side.name
    name = "" if ours else f"{ramp.side.name}, "

    def line(what: str, unit: str, value: float, limit: Bound | None = None) -> Line:
        return Line(name + what, unit, value, value, value, limit if ours else None)

    lines = []
    for rate, step in ramp.steps.items():
        lines += [
            line(f"{rate}/s: p50", "ms", step.p50),
            line(f"{rate}/s: p99", "ms", step.p99, P99.get(rate)),
            line(f"{rate}/s: processor time for a complaint", "ms", sum(step.cost.values())),
            line(f"{rate}/s: the same with what an idle system takes", "ms", step.all),
        ]
    lines.append(line("highest of these rates with p99 of a second at most", "/s", ramp.steady))
    lines.append(line("idle system", "% of the processors", ramp.share, IDLE))
    return lines


def _compared(before: Ramp, ours: Ramp) -> list[Line]:
    lines = []
    for rate in sorted(before.steps.keys() & ours.steps.keys()):
        for what, ratio in (
            ("processor time for a complaint", sum(ours.steps[rate].cost.values()) / sum(before.steps[rate].cost.values())),
            ("the same with what an idle system takes", ours.steps[rate].all / before.steps[rate].all),
        ):
            lines.append(Line(f"{rate}/s: {what} ÷ {before.side.name}", "", ratio, ratio, ratio))
    return lines


def _notes(ramp: Ramp) -> list[str]:
    name = f"{ramp.side.name} " if ramp.side.name else ""

    def parts(values: dict[str, float]) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in values.items())

    return [
        f"{name}{rate}/s by process: {parts(step.cost)} ms for a complaint; p50 {step.p50:.0f}, p99 {step.p99:.0f} ms."
        for rate, step in ramp.steps.items()
    ] + [f"{name}idle by process: {parts(ramp.idle)} ms a second."]
