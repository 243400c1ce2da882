"""The demo's people in a hurry: by the wall clock, and everybody takes the next step as soon as it is there."""

from __future__ import annotations

import time
from dataclasses import replace

from redress_cli.cast import CAST, Story
from redress_cli.people import DemoFailed, People
from redress_local.state import Stack

CLOSED_WITHIN = 120.0  # seconds
TURN = 0.3
HURRIED = [replace(story, sessions=1, received=None) for story in CAST if story.end != "unreachable"]


def play(stack: Stack, copies: int) -> dict[str, Story]:
    """Register the cast and let people work until every complaint is closed; the stories by complaint. Raises DemoFailed."""
    people = People(stack)
    stories = {people.register(story): story for _ in range(copies) for story in HURRIED}
    for complaint, story in stories.items():
        if story.supplement:
            people.supplement(complaint, story.supplement[1])
        if story.withdrawn:
            people.withdraw(complaint)
    left, end = set(stories), time.monotonic() + CLOSED_WITHIN
    while left:
        acted = people.decide_reviews(stories) + people.work_on_cases(stories) + people.call_back(stories)
        left -= {complaint for complaint in left if people.status(complaint)["stage"] == "closed"}
        if time.monotonic() > end:
            raise DemoFailed(f"{len(left)} complaints were not closed within {CLOSED_WITHIN:.0f} s: {sorted(left)[:5]}")
        if left and not acted:
            time.sleep(TURN)
    return stories
