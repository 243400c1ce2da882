"""Start the whole system and stop it: `up`, `run`, `down`."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import asdict
from datetime import datetime
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.table import Column, Table

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, fail, moment, out
from redress_local.processes import StartFailed
from redress_local.state import COMPOSE, NotRunning, Stack, read_stack
from redress_local.system import System

ClockChoice = Literal["wall", "stepping"]


def up(
    folder: Folder = DEFAULT_FOLDER,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C, then stop everything.")] = False,
    as_json: AsJson = False,
    replicas: Annotated[int, typer.Option(help="Processes of each service.", min=1, max=8)] = 1,
    settle: Annotated[float, typer.Option(help="Seconds that timed work waits after a start for other services' facts.")] = 2.0,
    log_level: Annotated[str, typer.Option(help="What the services log: DEBUG, INFO, WARNING.")] = "INFO",
    clock: Annotated[
        ClockChoice | None,
        typer.Option(help="The services' clock: the wall clock, or one that only `redress clock` moves. As the folder has it, else wall."),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Where the stepping clock starts, local time if no offset is given; now, or where it stood, if not given.",
        ),
    ] = None,
) -> None:
    """Start Kafka, PostgreSQL and every service, and wait until all are ready.

    Kafka and PostgreSQL are those of REDRESS_KAFKA_ADDRESS and REDRESS_POSTGRES_ADMIN_DSN if both are set, else containers
    where a Docker engine answers, else local processes. Data stays in the folder: the next start has it again.

    Examples:

        redress up

        redress up --foreground

        redress up --json --folder /tmp/second | jq .urls

        redress up --replicas 2

        redress up --folder /tmp/march --clock stepping --at 2026-03-02T09:00+08:00
    """
    running = _still_running(folder)
    if running is not None:
        err.print(
            f"Already running in {folder}, as it was started: options change nothing. To start it otherwise: redress down, then redress up."
        )
        _show(running, as_json)
        return
    system = System(
        folder,
        replicas=replicas,
        foreground=foreground,
        settle_seconds=settle,
        log_level=log_level,
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
        fail("Interrupted; everything that was started is stopped.")
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
        err.print("Let go of the system that Docker Compose runs. It goes on: docker compose down stops it.")
        return
    err.print(f"Stopped {', '.join(names)}." if names else "Nothing was running any more.")


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
    """The stack in this folder if all of it runs; None if nothing does. Half a stack is an error."""
    try:
        stack = read_stack(folder)
    except NotRunning:
        return None
    if stack.servers == COMPOSE:
        fail(f"{folder} is attached to what Docker Compose runs. Let go of it first: redress down --folder {folder}")
    running = set(stack.running)
    if not running and stack.processes:
        return None
    ended = [each.name for each in stack.processes if each.name not in running]
    if ended:
        fail(f"In {folder} a stack runs without {', '.join(ended)}. Stop it first: redress down --folder {folder}")
    return stack


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
