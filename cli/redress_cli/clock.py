"""The stepping clock of a local stack: where it stands, what is due next, and moving it there once all is quiet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import TypeAdapter

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, fail, moment, out, running_stack
from redress_local.state import Stack
from redress_spine.processing.clock import ClockSetBack, ClockUnusable, SteppingClock
from redress_spine.processing.idle import Idle
from redress_spine.processing.stepping import IDLE_TIMEOUT, NotIdle, Stepper

ANSWER = TypeAdapter(Idle)
UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def duration(text: str) -> timedelta:
    """`3d`, `36h`, `1d12h30m`."""
    if not re.fullmatch(r"(\d{1,6}[dhms])+", text):
        raise typer.BadParameter(f"{text!r} is not a duration: write 3d, 36h, 90m, 30s or 1d12h.")
    return sum((timedelta(**{UNITS[unit]: int(count)}) for count, unit in re.findall(r"(\d+)([dhms])", text)), timedelta())


def clock(
    folder: Folder = DEFAULT_FOLDER,
    to_next: Annotated[bool, typer.Option("--next", help="To the next time at which something is due.")] = False,
    until: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="To this time; local time if no offset is given.")
    ] = None,
    by: Annotated[timedelta | None, typer.Option(parser=duration, metavar="DURATION", help="By this much: 3d, 36h, 1d12h30m.")] = None,
    to_end: Annotated[bool, typer.Option("--to-end", help="Until nothing more would happen by itself.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for quiet before each move.")] = IDLE_TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Show the stepping clock, or move it: over every instant that something is due at, each time once all services are quiet.

    For a stack that was started by `redress up --clock stepping`. Send it no requests meanwhile. The clock never goes back.

    Examples:

        redress clock

        redress clock --next

        redress clock --until 2026-02-25T09:00+08:00

        redress clock --by 3d

        redress clock --to-end
    """
    if sum((to_next, until is not None, by is not None, to_end)) > 1:
        fail("Choose one of: --next, --until, --by or --to-end.")
    stack = running_stack(folder)
    step = stepper(stack, timeout=timeout, moved=lambda instant, records: err.print(f"  {described(instant)}  {records} new on the log"))
    try:
        if to_next and not step.next():
            err.print("Nothing is due any more.")
        if until or by:
            step.until(until or step.clock() + (by or timedelta()))
        if to_end:
            step.to_end()
        moving = to_next or until or by or to_end
        _show(step, [] if moving else [what for each in rounds(stack)() for what in each.pending], as_json)
    except (NotIdle, ClockSetBack, ConnectionError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        err.print(f"Interrupted; the clock stands at {described(step.clock())}.")
        raise typer.Exit(130) from None


def stepper(
    stack: Stack, *, timeout: float = IDLE_TIMEOUT, moved: Callable[[datetime, int], None] = lambda instant, records: None
) -> Stepper:
    """Whoever moves this stack's clock; ends the command where the stack has none."""
    if stack.clock_file is None:
        fail(f"The stack in {stack.folder} uses the wall clock. A stepping one needs a folder of its own: redress up --clock stepping")
    try:
        return Stepper(SteppingClock(Path(stack.clock_file)), rounds(stack), timeout=timeout, moved=moved)
    except ClockUnusable as error:
        fail(str(error))


def rounds(stack: Stack) -> Callable[[], Sequence[Idle]]:
    """Asks every replica at once, on connections that are kept. Raises ConnectionError, with the replica's name."""
    client, threads = httpx.Client(timeout=10, trust_env=False, verify=False), ThreadPoolExecutor(len(stack.all_urls))
    return lambda: list(threads.map(lambda item: _ask(client, *item), stack.all_urls.items()))


def _ask(client: httpx.Client, name: str, url: str) -> Idle:
    try:
        answer = client.get(f"{url}/idle")
    except httpx.TransportError as error:
        raise ConnectionError(f"{name} does not answer: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise ConnectionError(f"{name} answered {answer.status_code}: {answer.text[:200]}")
    return ANSWER.validate_json(answer.content)


def _show(step: Stepper, owed: Sequence[str], as_json: bool) -> None:
    due = None if owed else step.settle()
    if as_json:
        print(json.dumps({"clock": step.clock().isoformat(), "next": due and due.isoformat(), "pending": list(owed)}))
        return
    out.print(f"The clock stands at {described(step.clock())}.", highlight=False)
    if owed:
        out.print("Not quiet: " + "; ".join(owed) + ".", highlight=False, markup=False)
    else:
        out.print(f"Next is due at {described(due)}." if due else "Nothing is due any more.", highlight=False)


def described(instant: datetime) -> str:
    """Local time, to the second: what is due at midnight is decided half a second later."""
    return instant.astimezone().strftime("%a %Y-%m-%d %H:%M:%S %z")
