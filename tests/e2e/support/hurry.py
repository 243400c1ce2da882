"""The demo's people in a hurry: by the wall clock, and everybody takes the next step as soon as it is there."""

from __future__ import annotations

import time
from dataclasses import replace

from redress_cli.actors import Actors, DemoFailed
from redress_cli.scenario import SCENARIO, Story
from redress_local.state import Stack

CLOSED_WITHIN = 120.0  # seconds
TURN = 0.3
HURRIED = [replace(story, sessions=1, received=None) for story in SCENARIO if story.end != "unreachable"]


def run_scenario(stack: Stack, copies: int) -> dict[str, Story]:
    """Register the scenario and let people work until every complaint is closed; the stories by complaint. Raises DemoFailed."""
    actors = Actors(stack)
    stories = {actors.register(story): story for _ in range(copies) for story in HURRIED}
    for complaint, story in stories.items():
        if story.supplement:
            actors.supplement(complaint, story.supplement[1])
        if story.withdrawn:
            actors.withdraw(complaint)
    left, end = set(stories), time.monotonic() + CLOSED_WITHIN
    while left:
        acted = actors.decide_reviews(stories) + actors.work_on_cases(stories) + actors.call_back(stories)
        left -= {complaint for complaint in left if actors.status(complaint)["stage"] == "closed"}
        if time.monotonic() > end:
            raise DemoFailed(f"{len(left)} complaints were not closed within {CLOSED_WITHIN:.0f} s: {sorted(left)[:5]}")
        if left and not acted:
            time.sleep(TURN)
    return stories
