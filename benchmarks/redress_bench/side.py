"""A system that is measured: this checkout's, or beside it that of another one, such as the commit before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from redress_bench.stage import system
from redress_local.issuer import Issuer
from redress_local.places import SERVICES
from redress_local.servers import NO_DOCKER_VARIABLE
from redress_local.system import System

STATE = "state.json"
MEASURED = ("kafka", "postgres", *SERVICES)


@dataclass(frozen=True)
class MeasuredSystem:
    """name: empty for this checkout. urls: by service. pids: by name, `triage-2` for a second replica."""

    name: str
    urls: Mapping[str, str]
    kafka: str
    pids: Mapping[str, int]
    issuer: Issuer

    @property
    def complaints(self) -> str:
        return self.urls["intake"] + "/complaints"

    def front_end(self) -> str:
        return self.issuer.mint("front-end", "bench", ttl=7200)

    def processor_time(self) -> dict[str, float]:
        """ms since its start: of Kafka, PostgreSQL and each service with its replicas and children, by name."""
        spent = dict.fromkeys(MEASURED, 0.0)
        for name, pid in self.pids.items():
            whose = next((each for each in MEASURED if name in (each, f"{each}-{name.rpartition('-')[2]}")), None)
            if whose is not None:
                spent[whose] += _of(psutil.Process(pid))
        return spent

    def spends(self, seconds: float) -> dict[str, float]:
        """ms of processor time in each second of so many, by name."""
        before = self.processor_time()
        time.sleep(seconds)
        return {name: (value - before[name]) / seconds for name, value in self.processor_time().items()}


def of_this(started: System) -> MeasuredSystem:
    return MeasuredSystem("", started.urls, started.servers.kafka, started.stack().pids, started.issuer)


@contextmanager
def sides(against: Path | None) -> Iterator[list[MeasuredSystem]]:
    """This checkout's whole system, and before it that of another checkout where one is named, which has had its own `make setup`."""
    with system(SERVICES) as started:
        if against is None:
            yield [of_this(started)]
            return
        with _other(against) as before:
            yield [before, of_this(started)]


@contextmanager
def _other(checkout: Path) -> Iterator[MeasuredSystem]:
    """Raises RuntimeError where its system does not start."""
    command = checkout.resolve() / ".venv" / "bin" / "redress"
    if not command.exists():
        raise RuntimeError(f"There is no {command}: run `make setup` in {checkout}.")
    folder = Path(tempfile.mkdtemp(prefix="redress-bench-before-"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {NO_DOCKER_VARIABLE: "1"}
    line = [str(command), "up", "--foreground", "--folder", str(folder)]
    told = folder / "up.log"
    with told.open("wb") as output:
        up = subprocess.Popen(line, env=environment, cwd=checkout, stdout=output, stderr=output)
    try:
        while not (folder / STATE).exists():
            if up.poll() is not None:
                raise RuntimeError(f"The system of {checkout} did not start: {told.read_text()[-500:]}")
            time.sleep(0.2)
        state = json.loads((folder / STATE).read_text())
        commit = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
        pids = {each["name"]: each["pid"] for each in state["processes"]}
        yield MeasuredSystem(commit.stdout.strip(), state["urls"], state["kafka"], pids, Issuer(Path(state["issuer"]["folder"])))
    finally:
        up.terminate()
        up.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


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
