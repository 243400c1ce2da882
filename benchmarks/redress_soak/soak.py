"""One soak: load and people without a pause, one or two faults at a time, then rest, and every check."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from live import Live
from load import MIXED, Load, Staff
from verdicts import Unrest, ends_well

from redress_local.system import System
from redress_soak.faults import REPLICAS, Fault, Faults

POLICY = Path(__file__).resolve().parents[2] / "tests" / "e2e" / "quick-policy.yaml"
SETTLE = 5.0
POSTERS, PAUSE = 2, 1.0  # two complaints a second
CALM = 4.0  # seconds at most between a recovery and the next fault
RECOVERED_WITHIN = 180.0  # seconds, for a machine that has other things to do
CLOSED_WITHIN = 900.0  # seconds; people have fallen behind
FIRST_PROBE = 10**6  # posts with numbers from here on belong to no poster


@dataclass(frozen=True)
class PastFault:
    """One fault. recovered: seconds from its being undone, with whatever was together with it, until a new complaint had its case and its
    clock; starts of processes are in it."""

    kind: str
    lasted: float
    recovered: float


@dataclass
class Result:
    """What was done, and what is wrong afterwards: nothing, if the system held."""

    seed: int
    minutes: float
    happened: list[PastFault] = field(default_factory=list)
    complaints: int = 0
    cut_off: int = 0
    events: int = 0
    deadlines: int = 0
    annulled: int = 0
    wrong: list[str] = field(default_factory=list)


def soak(minutes: float, seed: int, progress: Callable[[str], None], only: Sequence[str] = ()) -> Result:
    """Run one. Everything that is wrong, or went wrong, is in the result; the folder stays where something is."""
    folder = Path(tempfile.mkdtemp(prefix="redress-soak-"))
    system = System(folder, replicas=REPLICAS, settle_seconds=SETTLE, environment={"REDRESS_POLICY": str(POLICY)})
    result = Result(seed, minutes)
    with _written_into(result), system, closing(Live(system)) as live:
        progress(f"{len(system.children)} processes are ready; data and logs in {folder}")
        _shake(live, result, minutes * 60, progress, only)
    if not result.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return result


@contextmanager
def _written_into(result: Result) -> Iterator[None]:
    """Whatever ends the block early, Ctrl-C apart, is told in the result: a soak that broke off says so beside what it came to."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:  # what pytest.fail raises is no Exception
        result.wrong.append(f"{type(error).__name__}: {error}")


def _shake(live: Live, result: Result, seconds: float, progress: Callable[[str], None], only: Sequence[str]) -> None:
    rng, unrest, load = random.Random(result.seed), Unrest(SETTLE), Load(live, MIXED)
    faults = Faults(live, load, rng, only)
    staff = Staff(live, lambda: [each for each in load.complaints if each not in faults.kept_open])
    end = time.monotonic() + seconds
    try:
        with load.going_on(POSTERS, PAUSE), staff.at_work():
            while time.monotonic() < end:
                time.sleep(rng.uniform(0, CALM))
                drawn = faults.draw()
                with unrest.now():
                    recovered = _one_round(live, load, drawn, len(result.happened))
                result.happened += [PastFault(each.kind, each.lasts, recovered) for each in drawn]
                closed = len(set(live.events("callback", "complaint-closed")))
                what = " and ".join(f"{each.description} ({each.lasts:.1f} s)" for each in drawn)
                progress(f"{what}: back after {recovered:.1f} s; {len(load.answered)} complaints, {closed} closed")
        progress("faults are over; people work until everything is closed")
        ends_well(live, load, staff, unrest, CLOSED_WITHIN)
    finally:
        result.complaints, result.cut_off = len(load.answered), load.cut_off
        with _written_into(result):  # of a server that is away nothing can be had
            result.deadlines, result.annulled = (len(live.events("sla-monitor", name)) for name in ("deadline-breached", "breach-annulled"))
            result.events = sum(live.journals().values())


def _one_round(live: Live, load: Load, drawn: list[Fault], number: int) -> float:
    """Do it, let it last, undo it. → seconds until a complaint went its way again."""
    began = time.monotonic()
    for fault in drawn:
        fault.begin()
    undone: float | None = None
    for fault in sorted(drawn, key=lambda fault: (fault.last, fault.lasts)):
        time.sleep(max(0.0, began + fault.lasts - time.monotonic()))
        undone = time.monotonic()
        fault.end()
    assert undone is not None
    ended = time.monotonic()  # what restores a log takes the longer the longer the log is: the limit begins behind it
    live.system.wait_ready(limit=RECOVERED_WITHIN)
    subject = f"complaint/{load.post(FIRST_PROBE + number)}"
    while not all(subject in live.events(*event) for event in (("handling", "case-opened"), ("sla-monitor", "clock-started"))):
        assert time.monotonic() - ended < RECOVERED_WITHIN, f"{subject} did not go its way within {RECOVERED_WITHIN:.0f} s"
        time.sleep(0.05)
    return time.monotonic() - undone
