"""The demo's play on the stepping clock: customers come when they come, people work on working days, all else falls due by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redress_cli.actors import Actors, DemoFailed
from redress_cli.clock import stepper
from redress_cli.console import err
from redress_cli.scenario import SCENARIO, START, ZONE, Story
from redress_local.state import Stack
from redress_sla_monitor.policies import calendars

SESSIONS = (time(9, 30), time(15))
CLOSED_WITHIN = timedelta(days=60)  # of simulated time
BETWEEN_COPIES = timedelta(minutes=7)  # between the copies of one story
COLUMNS = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()


@dataclass(frozen=True)
class Appointment:
    """Something that a customer does of their own accord."""

    at: datetime
    do: Callable[[], None]


def run_scenario(stack: Stack, copies: int) -> dict[str, Story]:
    """Let the scenario complain and the people work until every complaint is closed and nothing is due any more; the stories by complaint.
    Raises DemoFailed, NotIdle."""
    actors, stories = Actors(stack), dict[str, Story]()
    appointments = deque(sorted(customers(actors, stories, copies), key=lambda appointment: appointment.at))
    closed: set[str] = set()
    with Progress(*COLUMNS, console=err) as progress:

        def by_itself(instant: datetime, records: int) -> None:
            if records:
                err.print(f"  {described(instant)}  something is due by itself: {records} new on the log", style="dim", highlight=False)

        step = stepper(stack, moved=by_itself)
        bar = progress.add_task("closed", total=copies * len(SCENARIO))
        for session in sessions():
            while appointments and appointments[0].at <= session:
                step.until(appointments[0].at)
                appointments.popleft().do()
            step.until(session)
            for work in (actors.decide_reviews, actors.work_on_cases, lambda stories, now=session: actors.call_back(stories, now)):
                if work(stories):
                    step.settle()
            closed |= {complaint for complaint in stories.keys() - closed if actors.status(complaint)["stage"] == "closed"}
            progress.update(bar, completed=len(closed), description=f"{described(session)}  closed")
            if not appointments and len(closed) == len(stories):
                break
        else:
            left = sorted(stories.keys() - closed)
            raise DemoFailed(f"{len(left)} complaints were not closed within {CLOSED_WITHIN.days} days: {left[:5]}")
        step.to_end()
    return stories


def customers(actors: Actors, stories: dict[str, Story], copies: int) -> Iterator[Appointment]:
    """All that they do."""
    for later in (BETWEEN_COPIES * copy for copy in range(copies)):
        for story in SCENARIO:
            ids: list[str] = []

            def come(story: Story = story, ids: list[str] = ids) -> None:
                ids.append(actors.register(story))
                stories[ids[0]] = story

            yield Appointment(story.came + later, come)
            if story.supplement:
                at, text = story.supplement
                yield Appointment(at + later, lambda text=text, ids=ids: actors.supplement(ids[0], text))  # type: ignore[misc]  # bound now
            if story.withdrawn:
                yield Appointment(story.withdrawn + later, lambda ids=ids: actors.withdraw(ids[0]))  # type: ignore[misc]  # bound now


def sessions() -> Iterator[datetime]:
    """When people work: two times a day on the calendar's working days."""
    calendar = calendars()["china@1"]
    for day in (START.date() + timedelta(days=n) for n in range(CLOSED_WITHIN.days)):
        if calendar.day(day).worked:
            yield from (datetime.combine(day, at, ZONE) for at in SESSIONS)


def described(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%a %d %b %H:%M")
