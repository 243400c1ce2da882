"""The demo: the whole system from nothing, real complaints over HTTP until all are closed, and proof that nothing was lost or doubled."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from redress_cli.cast import CAST, Story
from redress_cli.checks import verified, verify_table
from redress_cli.console import err, fail, out
from redress_cli.log import collected, run, timeline_table
from redress_cli.people import DemoFailed, People
from redress_cli.status import read_all
from redress_events.facts import family
from redress_events.verify import Report
from redress_local.places import SERVICES
from redress_local.processes import StartFailed
from redress_local.state import Stack
from redress_local.system import System

CLOSED_WITHIN = 120.0  # seconds
QUIET_WITHIN = 60.0
TURN = 0.3


def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where the demo keeps its data; a temporary folder, removed at the end, if not given.")
    ] = None,
    copies: Annotated[int, typer.Option(help="How often the cast of complaints is posted.", min=1, max=200)] = 2,
) -> None:
    """Start everything, play the whole life of some complaints, show what happened, and stop everything.

    Example:

        redress demo
    """
    chosen = folder or Path(tempfile.mkdtemp(prefix="redress-demo-"))
    began = time.monotonic()
    system = System(chosen, progress=lambda line: err.print(f"  {line}", markup=False), settle_seconds=2.0)
    try:
        err.rule("The system starts")
        stack = system.start()
        played = play(stack, copies)
        out.print()
        show(stack, played)
        reports = verified(stack, list(SERVICES))
        out.print(verify_table(reports))
        conclude(played, reports, system.dead(), time.monotonic() - began)
    except (StartFailed, DemoFailed) as error:
        fail(f"The demo failed: {error}\nLogs: {chosen}/logs")
    finally:
        system.stop()
    if folder is None:
        shutil.rmtree(chosen, ignore_errors=True)


def play(stack: Stack, copies: int) -> dict[str, Story]:
    """Register the cast and let people work until every complaint is closed and the system is quiet. Raises DemoFailed."""
    err.rule("Complaints come in")
    people, stories, missed = People(stack), dict[str, Story](), dict[str, int]()
    bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*bars, console=err) as progress:
        registering = progress.add_task("registered", total=copies * len(CAST))
        for _ in range(copies):
            for story in CAST:
                stories[people.register(story)["id"]] = story
                progress.advance(registering)
        for complaint, story in stories.items():
            people.add_words(complaint, story)
        closing = progress.add_task("closed", total=len(stories))
        end = time.monotonic() + CLOSED_WITHIN
        left = set(stories)
        while left:
            acted = people.decide_reviews(stories) + people.work_on_cases(stories) + people.call_back(stories, missed)
            left -= {complaint for complaint in left if people.status(complaint)["stage"] == "closed"}
            progress.update(closing, completed=len(stories) - len(left))
            if time.monotonic() > end:
                raise DemoFailed(f"{len(left)} complaints were not closed within {CLOSED_WITHIN:.0f} s: {sorted(left)[:5]}")
            if left and not acted:
                time.sleep(TURN)
        wait_until(lambda: quiet(stack), QUIET_WITHIN, "The system did not become quiet")
    return stories


def quiet(stack: Stack) -> bool:
    """Nothing to send, nothing to read, nothing parked: in every service."""
    return all(state.ready and (state.backlog, state.lag_records, state.parked) == (0, 0, 0) for state in read_all(stack))


def wait_until(check: Callable[[], bool], within: float, otherwise: str) -> None:
    end = time.monotonic() + within
    while not check():
        if time.monotonic() > end:
            raise DemoFailed(f"{otherwise} within {within:.0f} s.")
        time.sleep(TURN)


def show(stack: Stack, stories: dict[str, Story]) -> None:
    """What became of each complaint, one of them fact by fact, and how many facts of which type there are."""
    people = People(stack)
    table = Table(title="Complaints", title_justify="left")
    for column in ("number", "what", "channel", "category", "department", "deadline", "kept", "cycles", "satisfaction", "closed as"):
        table.add_column(column, overflow="fold")
    for complaint, story in stories.items():
        table.add_row(*row(people.status(complaint), people.clocks(complaint), story))
    out.print(table)
    out.print(timeline(stack, next(iter(stories)), people))


def row(status: dict[str, Any], clocks: list[dict[str, Any]], story: Story) -> list[str]:
    resolve = [clock for clock in clocks if clock["clock"] == "resolve"]
    deadline = resolve[0]["explanation"][-1]["end"][:16].replace("T", " ") if resolve else "–"  # in the calendar's time zone
    kept = "[red]breached" if any(clock["verdict"] == "breached" for clock in resolve) else "[green]yes" if resolve else "–"
    score = (status.get("visit") or {}).get("satisfaction")
    return [
        status["number"],
        story.name,
        status["channel"],
        status.get("category") or "–",
        status.get("department") or "–",
        deadline,
        kept,
        str(status["cycle"]),
        "★" * score if score else "–",
        status.get("closed_as") or "–",
    ]


def timeline(stack: Stack, complaint: str, people: People) -> Table:
    number = people.status(complaint)["number"]
    return timeline_table(run(collected(stack, f"complaint/{complaint}")), f"The whole life of {number} (redress timeline {number})")


def conclude(stories: dict[str, Story], reports: list[Report], dead: list[str], seconds: float) -> None:
    """Counts by type, and the verdict. Raises DemoFailed where anything was lost, doubled, parked or differs."""
    counts = Counter[str]()
    for report in reports:
        counts.update({family(name): count for name, count in report.types.items()})
    table = Table("fact", "count", title="Facts on the log", title_justify="left")
    for name, count in sorted(counts.items()):
        table.add_row(name.removeprefix("redress."), str(count))
    out.print(table)
    lost, doubled = sum(report.lost for report in reports), sum(report.doubled for report in reports)
    wrong = [report.service for report in reports if not report.equal or report.parked or report.set_aside or report.waiting]
    if lost or doubled or wrong or dead:
        first = next((each for report in reports for each in report.differences), None)
        raise DemoFailed(f"{lost} lost, {doubled} doubled; differing: {wrong}; dead: {dead}; {first}")
    out.print(
        Panel(
            f"{len(stories)} complaints registered, {len(stories)} closed. {counts.total()} facts: 0 lost, 0 doubled; log, journals and "
            f"states of {len(reports)} services are equal. {seconds:.0f} s.",
            style="green",
        )
    )
