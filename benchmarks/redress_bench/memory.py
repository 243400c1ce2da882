"""Resident memory of an idle service, and of the whole system on this machine."""

from __future__ import annotations

import time

import psutil

from redress_bench.figure import Bound, Figure, Line, Progress
from redress_bench.stage import system
from redress_local.places import SERVICES

MIB = 2**20
BOUND = (
    "A service: the interpreter with FastAPI, pydantic's validators, asyncpg and aiokafka. The system: Kafka's JVM and five processes "
    "of Python."
)


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    rounds = 3 if quick else 5
    services: dict[str, list[float]] = {name: [] for name in SERVICES}
    parts: dict[str, list[float]] = {"services": [], "kafka": [], "postgres": []}
    with system(SERVICES) as stack:
        pids = stack.stack().pids
        for n in range(rounds):
            time.sleep(2.0 if quick else 5.0)
            for name in SERVICES:
                services[name].append(psutil.Process(pids[name]).memory_info().rss / MIB)
            parts["services"].append(sum(_share(pids[name]) for name in SERVICES))
            for name in ("kafka", "postgres"):
                parts[name].append(_share(pids[name]))
            progress(f"look {n + 1} of {rounds}: " + ", ".join(f"{name} {found[-1]:.0f} MiB" for name, found in (services | parts).items()))
    largest = max(services, key=lambda name: services[name][-1])
    whole = [sum(each) for each in zip(*parts.values(), strict=True)]
    return Figure(
        "memory",
        "Idle, some seconds after the start, nothing on the log. A service: its resident set. The whole system: all services, Kafka and "
        "PostgreSQL with its backends, shared pages counted once.",
        BOUND,
        rounds,
        [
            Line.of(f"largest idle service ({largest})", "MiB", services[largest], Bound("at most", 100, 90)),
            Line.of("whole local system", "MiB", whole),
            *[Line.of(f"of it {name}", "MiB", found) for name, found in parts.items()],
        ],
        ["Idle services: " + ", ".join(f"{name} {found[-1]:.0f} MiB" for name, found in services.items()) + "."],
    )


def _share(pid: int) -> float:
    """MiB of a process and its children; a page that several share counts once in all."""
    process = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in [process, *process.children(recursive=True)]) / MIB
