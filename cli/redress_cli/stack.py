"""Start the whole system and stop it: `up`, `run`, `down`."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.table import Column, Table

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, fail, moment, out
from redress_local.processes import StartFailed
from redress_local.reviving import ended, revive
from redress_local.state import COMPOSE, NotRunning, Stack, read_stack
from redress_local.system import System
from redress_spine.processing.clock import SteppingClock

ClockChoice = Literal["wall", "stepping"]


def up(
    folder: Folder = DEFAULT_FOLDER,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C, then stop everything.")] = False,
    as_json: AsJson = False,
    replicas: Annotated[int | None, typer.Option(help="Processes of each service.", min=1, max=8, show_default="1")] = None,
    settle: Annotated[
        float | None, typer.Option(help="Seconds that timed automations wait after a start for other services' events.", show_default="2")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="What the services log: DEBUG, INFO, WARNING.", show_default="INFO")] = None,
    clock: Annotated[
        ClockChoice | None,
        typer.Option(
            help="The services' clock: the wall clock, or one that only `redress clock` moves. The default is the folder's, else wall."
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Where the stepping clock starts, local time if no offset is given; now, or where it stopped, if not given.",
        ),
    ] = None,
) -> None:
    """Start Kafka, PostgreSQL and every service, and wait until all are ready.

    Kafka and PostgreSQL are those of REDRESS_KAFKA_ADDRESS and REDRESS_POSTGRES_ADMIN_DSN if both are set, else containers
    where a Docker engine answers, else local processes. Data stays in the folder: the next start has it again.
    What runs already is shown, and is refused where it runs with other options than those that are given here. Of a stack that runs, a
    process that has ended is started again, alone, on the same data and port.

    Examples:

        redress up

        redress up --foreground

        redress up --json --folder /tmp/second | jq .urls

        redress up --replicas 2

        redress up --folder /tmp/march --clock stepping --at 2026-03-02T09:00+08:00
    """
    running = _still_running(folder)
    if running is not None:
        if differing := _differing(running, foreground, replicas, settle, log_level, clock, at):
            fail(f"Already running in {folder}, but not so: {'; '.join(differing)}. To start it otherwise: redress down, then redress up.")
        if names := ended(running):
            running = _revived(running, names)
        else:
            err.print(f"Already running in {folder}.")
        _show(running, as_json)
        return
    system = System(
        folder,
        replicas=replicas or 1,
        foreground=foreground,
        settle_seconds=2.0 if settle is None else settle,
        log_level=log_level or "INFO",
        clock=clock,
        at=at,
        progress=lambda line: err.print(f"  {line}", markup=False),
    )
    asked_to_end = _on_signals()
    try:
        stack = system.start()
    except StartFailed as error:
        fail(str(error))
    except Interrupted:
        fail("Interrupted; everything that was started was stopped.")
    try:
        _show(stack, as_json)
        if not foreground:
            return
        err.print("Ctrl-C stops it.")
        _stay(system, asked_to_end)
    except Interrupted:
        pass
    finally:
        if foreground:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C would leave half of it running
            err.print("Stopping")
            system.stop()


def run(folder: Folder = DEFAULT_FOLDER) -> None:
    """Start everything and stay; Ctrl-C stops it. The same as `redress up --foreground`.

    Example:

        redress run
    """
    up(folder=folder, foreground=True)


def down(folder: Folder = DEFAULT_FOLDER) -> None:
    """Stop what `redress up` started in this folder. Data stays.

    Examples:

        redress down

        redress down --folder /tmp/second
    """
    try:
        stack = read_stack(folder)
    except NotRunning as error:
        err.print(str(error), markup=False)
        return
    names = stack.running
    stack.stop()
    if stack.servers == COMPOSE:
        err.print("Detached from the system that Docker Compose runs. It goes on running: docker compose down stops it.")
        return
    err.print(f"Stopped {', '.join(names)}." if names else "Nothing was running.")


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not an Exception, so that nothing on the way swallows it."""


def _on_signals() -> threading.Event:
    asked = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
            raise Interrupted

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return asked


def _stay(system: System, asked_to_end: threading.Event) -> None:
    while not asked_to_end.wait(0.5):
        for service in system.dead():
            fail(str(system.children[service].failed("ended by itself")))


def _still_running(folder: Folder) -> Stack | None:
    """The stack in this folder if any of it runs, else None."""
    try:
        stack = read_stack(folder)
    except NotRunning:
        return None
    if stack.servers == COMPOSE:
        fail(f"{folder} is attached to what Docker Compose runs. Detach from it first: redress down --folder {folder}")
    return None if stack.processes and not stack.running else stack


def _revived(stack: Stack, names: list[str]) -> Stack:
    err.print(f"Restarting what had ended: {', '.join(names)}. The rest goes on.", markup=False)
    try:
        return revive(stack, names, progress=lambda line: err.print(f"  {line}", markup=False))
    except StartFailed as error:
        fail(str(error))


def _differing(
    running: Stack,
    foreground: bool,
    replicas: int | None,
    settle: float | None,
    log_level: str | None,
    clock: ClockChoice | None,
    at: datetime | None,
) -> list[str]:
    """What was asked for and does not run, in words. What was not asked for may be as it is."""
    clock_runs = "stepping" if running.clock_file else "wall"
    shown = SteppingClock(Path(running.clock_file))() if running.clock_file else None
    options: list[tuple[str, object, object]] = [
        ("--replicas", replicas, running.replicas),
        ("--settle", settle, running.settle_seconds),
        ("--log-level", log_level and log_level.upper(), running.log_level.upper()),
        ("--clock", clock, clock_runs),
        ("--at", at, shown or "the wall clock"),
    ]
    found = [f"{name} {asked}, and it runs with {runs}" for name, asked, runs in options if asked is not None and asked != runs]
    return ["--foreground, and this command can stay only with what it started", *found] if foreground else found


def _show(stack: Stack, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(stack), indent=2), flush=True)
        return
    table = Table("service", Column("address", no_wrap=True), Column("log", overflow="fold"))
    for service, url in stack.all_urls.items():
        table.add_row(service, url, stack.logs[service])
    out.print(table)
    out.print(
        f"Kafka {stack.kafka}   PostgreSQL {stack.postgres.rpartition('@')[2]}   ({stack.servers})   data {stack.folder}", markup=False
    )
