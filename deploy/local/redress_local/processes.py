"""Child processes: start one with its log in a file, know it again by its start time, and end it for sure."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

# Linux sends a parent-death signal when the *thread* that started the child ends.
# So one thread starts them all, and lives as long as this process.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")


class StartFailed(Exception):
    """A server or a service did not come up; the message carries the end of its log."""


@dataclass(frozen=True)
class ProcessRecord:
    """A process as written to the state file: the start time tells it from a later one with the same number."""

    name: str
    pid: int
    created: float
    stop_signal: str = "SIGTERM"

    def process(self) -> psutil.Process | None:
        """The process, if it is still the same one and alive."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > 0.05 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    def stop(self, limit: float = 20.0) -> None:
        """Ask it to end, wait up to `limit` seconds, then SIGKILL it with its children."""
        process = self.process()
        if process is None:
            return
        children = process.children(recursive=True)
        process.send_signal(signal.Signals[self.stop_signal])
        if not _wait_gone(self, limit):
            for each in [process, *children]:
                if each.is_running():
                    each.kill()
            _wait_gone(self, 5.0)


def _wait_gone(record: ProcessRecord, limit: float) -> bool:
    end = time.monotonic() + limit
    while record.process() is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Child:
    """A direct child of this process, in a session of its own so that Ctrl-C reaches only the parent, which stops all in order."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    record: ProcessRecord
    log_start: int = field(default=0)

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def stop(self, limit: float = 20.0) -> None:
        """Ask it to end, wait up to `limit` seconds, then SIGKILL it."""
        if self.alive:
            self.popen.send_signal(signal.Signals[self.record.stop_signal])
        try:
            self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL it and all that it started, and wait until they are gone."""
        children: list[psutil.Process] = []
        if self.alive:
            children = psutil.Process(self.popen.pid).children(recursive=True)
            self.popen.kill()
        self.popen.wait()
        for each in children:
            if each.is_running():
                each.kill()
        psutil.wait_procs(children, timeout=10)

    def output(self) -> str:
        """What it wrote to its log since this start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self.log_start)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def failed(self, why: str) -> StartFailed:
        """The error that shows the end of the log."""
        tail = "\n".join(self.output().splitlines()[-30:])
        return StartFailed(f"{self.name} {why}. The end of {self.log}:\n{tail or '(nothing was written)'}")


def start_child(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    foreground: bool,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user: str | None = None,
    stop_signal: str = "SIGTERM",
    death_signal: str = "KILL",
) -> Child:
    """Start `command` with its output appended to `log`.

    With `foreground` it gets `death_signal` when this process ends, however it ends (Linux; by util-linux' setpriv, which needs no
    Python between fork and exec). Without, it lives on.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    setpriv = shutil.which("setpriv") if foreground else None
    line = [str(part) for part in ([setpriv, "--pdeathsig", death_signal, "--", *command] if setpriv else command)]
    with log.open("ab") as out:
        position = out.tell()
        popen = _starter.submit(
            subprocess.Popen[bytes],
            line,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(os.environ) | dict(environment or {}),
            cwd=folder,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        ).result()
    created = psutil.Process(popen.pid).create_time()
    return Child(name, popen, log, ProcessRecord(name, popen.pid, created, stop_signal), position)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from plain code, also when the caller's thread has a running loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
