"""The demo's play on the stepping clock: customers come when they come, people work on working days, all else falls due by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redress_cli.cast import CAST, START, ZONE, Story
from redress_cli.clock import stepper
from redress_cli.console import err
from redress_cli.people import DemoFailed, People
from redress_local.state import Stack
from redress_sla_monitor.packs import calendars

CALENDAR = calendars()["china@1"]
SESSIONS = (time(9, 30), time(15))
CLOSED_WITHIN = timedelta(days=60)  # of simulated time
APART = timedelta(minutes=7)  # between the copies of one story
COLUMNS = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()


@dataclass(frozen=True)
class Event:
    """Something that a customer does of his own accord."""

    at: datetime
    do: Callable[[], None]


def play(stack: Stack, copies: int) -> dict[str, Story]:
    """Let the cast complain and the people work until every complaint is closed and nothing is due any more; the stories by complaint.
    Raises DemoFailed, NotQuiet."""
    people, stories = People(stack), dict[str, Story]()
    events = deque(sorted(customers(people, stories, copies), key=lambda event: event.at))
    closed: set[str] = set()
    with Progress(*COLUMNS, console=err) as progress:

        def by_itself(instant: datetime, records: int) -> None:
            if records:
                err.print(f"  {told(instant)}  something is due by itself: {records} new on the log", style="dim", highlight=False)

        step = stepper(stack, moved=by_itself)
        bar = progress.add_task("closed", total=copies * len(CAST))
        for session in sessions():
            while events and events[0].at <= session:
                step.until(events[0].at)
                events.popleft().do()
            step.until(session)
            for work in (people.decide_reviews, people.work_on_cases, lambda stories, now=session: people.call_back(stories, now)):
                if work(stories):
                    step.settle()
            closed |= {complaint for complaint in stories.keys() - closed if people.status(complaint)["stage"] == "closed"}
            progress.update(bar, completed=len(closed), description=f"{told(session)}  closed")
            if not events and len(closed) == len(stories):
                break
        else:
            left = sorted(stories.keys() - closed)
            raise DemoFailed(f"{len(left)} complaints were not closed within {CLOSED_WITHIN.days} days: {left[:5]}")
        step.to_end()
    return stories


def customers(people: People, stories: dict[str, Story], copies: int) -> Iterator[Event]:
    """All that they do."""
    for later in (APART * copy for copy in range(copies)):
        for story in CAST:
            ids: list[str] = []

            def come(story: Story = story, ids: list[str] = ids) -> None:
                ids.append(people.register(story))
                stories[ids[0]] = story

            yield Event(story.came + later, come)
            if story.supplement:
                at, text = story.supplement
                yield Event(at + later, lambda text=text, ids=ids: people.supplement(ids[0], text))  # type: ignore[misc]  # bound now
            if story.withdrawn:
                yield Event(story.withdrawn + later, lambda ids=ids: people.withdraw(ids[0]))  # type: ignore[misc]  # bound now


def sessions() -> Iterator[datetime]:
    """When people work: two times a day on the calendar's working days."""
    for day in (START.date() + timedelta(days=n) for n in range(CLOSED_WITHIN.days)):
        if CALENDAR.day(day).worked:
            yield from (datetime.combine(day, at, ZONE) for at in SESSIONS)


def told(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%a %d %b %H:%M")
