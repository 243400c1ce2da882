"""The demo: the whole system from nothing, weeks of complaints until all are closed, and proof that nothing was lost or doubled."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.panel import Panel
from rich.table import Table

from redress_cli.actors import Actors, DemoFailed
from redress_cli.checks import verified, verify_table
from redress_cli.console import err, fail, out
from redress_cli.log import collected, run, timeline_table
from redress_cli.runner import described, run_scenario
from redress_cli.scenario import START, ZONE, Story
from redress_cli.stack_target import of_stack
from redress_events.event import family
from redress_local.places import SERVICES
from redress_local.processes import StartFailed
from redress_local.state import Stack
from redress_local.system import System
from redress_spine.admin.verify import VerifyReport
from redress_spine.processing.stepping import NotIdle


def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where the demo keeps its data; a temporary folder, removed at the end, if not given.")
    ] = None,
    copies: Annotated[int, typer.Option(help="How many times the scenario of complaints is posted.", min=1, max=200)] = 1,
) -> None:
    """Start everything, play weeks in the life of some complaints, show what happened, and stop everything.

    The clock is a stepping one: it begins on Friday 13 February 2026 and goes over the Spring Festival into March.

    Examples:

        redress demo

        redress demo --copies 5 --folder /tmp/demo
    """
    chosen = folder or Path(tempfile.mkdtemp(prefix="redress-demo-"))
    began = time.monotonic()
    system = System(chosen, progress=lambda line: err.print(f"  {line}", markup=False), settle_seconds=2.0, clock="stepping", at=START)
    try:
        err.rule("The system starts")
        stack = system.start()
        err.rule(f"Complaints come in from {described(START)} on")
        played = run_scenario(stack, copies)
        out.print()
        show(stack, played)
        reports, failed = verified(of_stack(stack), list(SERVICES))
        out.print(verify_table(reports))
        if failed:
            raise DemoFailed(" ".join(failed))
        conclude(played, reports, system.dead(), time.monotonic() - began)
    except (StartFailed, DemoFailed, NotIdle) as error:
        fail(f"The demo failed: {error}\nLogs: {chosen}/logs")
    finally:
        system.stop()
    if folder is None:
        shutil.rmtree(chosen, ignore_errors=True)


def show(stack: Stack, stories: dict[str, Story]) -> None:
    """What became of each complaint, one of them event by event, and how many events of which type there are."""
    actors = Actors(stack)
    table = Table(title="Complaints, China Standard Time", title_justify="left")
    for column in ("number", "what", "received", "deadline", "resolved", "closed", "kept", "cycles", "closed as"):
        table.add_column(column, no_wrap=column != "what")
    for complaint, story in stories.items():
        table.add_row(*row(actors.status(complaint), actors.clocks(complaint), story))
    out.print(table)
    as_told(actors, stories)
    out.print(timeline(stack, next(iter(stories)), actors))


def row(status: dict[str, Any], clocks: list[dict[str, Any]], story: Story) -> list[str]:
    """The last cycle's times, in the calendar's zone; whether all deadlines to resolve it were kept."""
    resolve = [clock for clock in clocks if clock["clock"] == "resolve"]
    last = resolve[-1] if resolve else {}
    kept = "[red]breached" if any(clock["verdict"] == "breached" for clock in resolve) else "[green]yes" if resolve else "–"
    resolved = last.get("ended_at") if last.get("ended") == "met" else None
    closed = next((stage["at"] for stage in reversed(status["stages"]) if stage["stage"] == "closed"), None)
    score = (status.get("visit") or {}).get("satisfaction")
    return [
        status["number"],
        story.name,
        *(local_time(at) for at in (status["received_at"], last.get("deadline"), resolved, closed)),
        kept,
        str(status["cycle"]),
        f"{status.get('closed_as') or '–'} {'★' * (score or 0)}",
    ]


def local_time(iso: str | None) -> str:
    """A deadline at midnight is the end of the day before: 24:00."""
    if iso is None:
        return "–"
    instant = datetime.fromisoformat(iso).astimezone(ZONE)
    midnight = (instant.hour, instant.minute) == (0, 0)
    return f"{instant - timedelta(minutes=1):%a %d %b} 24:00" if midnight else f"{instant:%a %d %b %H:%M}"


def as_told(actors: Actors, stories: dict[str, Story]) -> None:
    """Each story ended as it must: closed for its reason, late or not. Raises DemoFailed."""
    for complaint, story in stories.items():
        end = actors.status(complaint)["closed_as"]
        late = any(clock["clock"] == "resolve" and clock["verdict"] == "breached" for clock in actors.clocks(complaint))
        if (end, late) != (story.end, story.late):
            raise DemoFailed(
                f"{story.name}: closed as {end}, {'late' if late else 'in time'}; it should be {story.end}, late: {story.late}."
            )


def timeline(stack: Stack, complaint: str, actors: Actors) -> Table:
    number = actors.status(complaint)["number"]
    title = f"The whole life of {number} (redress timeline {number}), China Standard Time"
    return timeline_table(run(collected(of_stack(stack), f"complaint/{complaint}")), title, ZONE)


def conclude(stories: dict[str, Story], reports: list[VerifyReport], dead: list[str], seconds: float) -> None:
    """Counts by type, and the verdict. Raises DemoFailed where anything was lost, doubled, parked or differs."""
    counts = Counter[str]()
    for report in reports:
        counts.update({family(name): count for name, count in report.types.items()})
    table = Table("event", "count", title="Events on the log", title_justify="left")
    for name, count in sorted(counts.items()):
        table.add_row(name.removeprefix("redress."), str(count))
    out.print(table)
    lost, doubled = sum(report.lost for report in reports), sum(report.doubled for report in reports)
    wrong = [report.service for report in reports if not report.equal or report.parked or report.dead_letters or report.waiting]
    if lost or doubled or wrong or dead:
        first = next((each for report in reports for each in report.differences), None)
        raise DemoFailed(f"{lost} lost, {doubled} doubled; differing: {wrong}; dead: {dead}; {first}")
    out.print(
        Panel(
            f"{len(stories)} complaints registered, {len(stories)} closed. {counts.total()} events: 0 lost, 0 doubled; log, journals and "
            f"states of {len(reports)} services are equal. {seconds:.0f} s.",
            style="green",
        )
    )
