"""Where a benchmark runs: a system of its own in a folder that is thrown away, always upon the local servers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from redress_local.processes import Child, start_child
from redress_local.servers import NO_DOCKER_VARIABLE
from redress_local.system import System

HERE = Path(__file__).resolve().parents[1]


@contextmanager
def system(services: Sequence[str], **options: object) -> Iterator[System]:
    """Servers and services for the length of a block; no services: the servers alone."""
    os.environ[NO_DOCKER_VARIABLE] = "1"
    os.environ["REDRESS_CALLER_RATE"] = "0"  # one caller asks for all
    folder = Path(tempfile.mkdtemp(prefix="redress-bench-"))
    try:
        with System(folder, services=services, **options) as started:  # type: ignore[arg-type]
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def app(module: str, port: int, folder: Path, environment: dict[str, str]) -> Iterator[Child]:
    """An ASGI app, run by uvicorn itself, for the length of a block."""
    line = [sys.executable, "-m", "uvicorn", module, "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    child = start_child(
        module, line, folder / "bare.log", foreground=True, environment={"PYTHONPATH": str(HERE), **environment}, folder=folder
    )
    try:
        wait(lambda: _listens(port, child), f"{module} answers", 20)
        yield child
    finally:
        child.stop()


def _listens(port: int, child: Child) -> bool:
    if not child.alive:
        raise child.failed("ended at its start")
    try:
        return httpx.get(f"http://127.0.0.1:{port}/openapi.json", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait(check: Callable[[], object], what: str, within: float, pause: float = 0.05) -> None:
    """Until it is true. Raises TimeoutError."""
    end = time.monotonic() + within
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(f"Not within {within:.0f} s: {what}.")
        time.sleep(pause)


def measures(url: str) -> dict[str, float]:
    """A service's numbers without labels, by name without `redress_`."""
    page = httpx.get(url + "/metrics", trust_env=False, timeout=10).text
    families = text_string_to_metric_families(page)
    return {s.name.removeprefix("redress_"): s.value for family in families for s in family.samples if not s.labels}


def _nothing_left(found: dict[str, float]) -> bool:
    """Also at a checkout from before that counted its backlog under another name."""
    left = [value for name, value in found.items() if name.startswith("backlog_") or name == "lag_records"]
    return len(left) == 2 and not any(left)


def drained(urls: Sequence[str], within: float = 120.0) -> float:
    """Wait until every event is on the log and read by all of these. → the seconds that took."""
    began = time.monotonic()

    def idle() -> bool:
        return all(_nothing_left(measures(url)) for url in urls)

    def twice() -> bool:  # the log's end is asked for each other second
        if not idle():
            return False
        time.sleep(2.1)
        return idle()

    wait(twice, "everything is relayed and read", within)
    return time.monotonic() - began
