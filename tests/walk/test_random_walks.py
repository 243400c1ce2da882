"""Beyond what is walked in full, 80 journeys at random: up to four cycles, more of everything, texts that need a person, and real working
days."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journey import LAST, Journey
from machines import CLEAR, VAGUE, Limits, machines
from promises import agree, nothing_left, something_is_pending

Step = tuple[int, bool, timedelta]
SERVICES = machines(Limits(cycles=4, times=3, calls=3, talk=True))
PAUSES = [timedelta(0), timedelta(0), timedelta(minutes=20), timedelta(hours=9), timedelta(days=4)]
# Which of the things that may happen next happens, whether it may be one that ends the complaint (else few would live long), and how much
# time passes then.
STEPS = st.lists(st.tuples(st.integers(0, 255), st.sampled_from([False] * 19 + [True]), st.sampled_from(PAUSES)), min_size=60, max_size=160)
ENDING = {"withdraw", "satisfied", "give-up"}
BEYOND = {
    "reclassify",
    "chase",
    "supplement",
    "progress",
    "reroute",
    "transfer",
    "reject",
    "missed",
    "dissatisfied",
    "breach",  # what may come behind one, `publish-again`, is too seldom here: test_walk.py walks every way to it
}
ENOUGH = 60  # steps that people owe before an end: four cycles with all that may happen once more in each


def check(journey: Journey) -> str | None:
    """All is read and done: what holds then. Returns the act that is owed, if the complaint has not ended."""
    joint = journey.joint
    agree(joint)
    if not joint.ended:
        return something_is_pending(joint, journey.can)
    nothing_left(joint)
    return None


def test_whatever_happened_whose_step_is_next_brings_it_to_its_end():
    evolve: Counter[str] = Counter()
    ends: Counter[str] = Counter()

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(text=st.sampled_from([CLEAR, VAGUE]), steps=STEPS)
    def walk(text: str, steps: list[Step]) -> None:
        journey = Journey(SERVICES, text)
        try:
            wander(journey, steps)
            obey(journey)
            be_forgotten(journey)
        except Exception as error:
            error.add_note("\n".join(["It came to this so:", *journey.told]))
            raise
        evolve.update(journey.evolve)
        ends[f"{journey.joint.callback.own.reason} in cycle {journey.joint.callback.own.cycle}"] += 1

    walk()
    assert set(evolve) >= BEYOND
    assert sum(ends[each] for each in ends if not each.endswith("cycle 1")) > 3


def be_forgotten(journey: Journey) -> None:
    """Whatever has ended can be forgotten, which moves nothing."""
    if journey.joint.intake.own.forgotten_at is None:
        journey.do("forget")
    journey.settle()
    assert check(journey) is None and not journey.can("forget")


@pytest.mark.parametrize("word", ["chase", "supplement"])
@pytest.mark.parametrize("calls", range(4))
def test_whoever_says_something_after_so_many_calls_in_vain_is_called_and_not_given_up(word: str, calls: int):
    journey = Journey(SERVICES, CLEAR)
    journey.settle()
    for act in ["accept", "contact", "resolve", *["missed"] * calls, word]:
        journey.do(act)
        journey.settle()
    journey.pause(LAST)
    journey.settle()
    assert check(journey) == "satisfied" and not journey.joint.ended and not journey.can("give-up")
    for _ in range(3):
        journey.do("missed")
        journey.settle()
    assert check(journey) == "give-up", "they were tried anew"
    obey(journey)


def wander(journey: Journey, steps: list[Step]) -> None:
    """Whatever may happen happens."""
    for choice, ending, pause in steps:
        moves = [move for move in journey.moves() if ending or move.act is None or move.act.name not in ENDING]
        turned = choice % max(1, len(moves))
        next(filter(journey.make, moves[turned:] + moves[:turned]), None)  # the first that is not refused
        journey.pause(pause)
        assert journey.joint.intake.closed or journey.joint.owed, "it is open, and nobody has the next step"
    journey.settle()


def obey(journey: Journey) -> None:
    """Whoever is said to owe the next step does it, until the end; and long afterwards nothing is left to be done."""
    for _ in range(ENOUGH):
        owed = check(journey)
        if owed is None:
            break
        journey.do(owed)
        journey.settle()
    assert journey.joint.ended, "what is owed is done again and again, and it does not end"
    journey.pause(LAST)
    journey.settle()
    assert check(journey) is None
