"""The walks that are made, each once for all tests, and what they came by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cast import Limits, Service, cast
from promises import Joint, agree, nothing_left, somebody_owes
from walk import State, Walk

from redress_intake.domain.next_step import next_step

MOST = 200_000  # states of a walk; what lies beyond is for test_random_walks.py
MOVES = {"transfer", "reroute", "reject", "missed"}


@dataclass
class Seen:
    """What a walk came by, so that one that covers nothing is noticed. rows: each service's states by its name."""

    states: int = 0
    quiet: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    did: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    owed: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[Any]] = field(default_factory=dict)


@cache
def moves_about() -> Seen:
    """Withdrawn, rejected, transferred, routed elsewhere, not solved: each once, at any point. Deadlines are never reached."""
    return walked(Walk(cast(Limits())))


@cache
def runs_late() -> Seen:
    """Withdrawn, not solved: each once. And the deadlines pass at any moment, so what was decided before may be heard after."""
    return walked(Walk(_without(MOVES), passes=True))


@cache
def keeps_to_the_main_road(short: bool) -> Seen:
    """Withdrawn, not solved: each once. short: with the walk's short cuts."""
    return walked(Walk(_without(MOVES), short=short))


def _without(acts: set[str]) -> list[Service]:
    return [replace(service, acts=[act for act in service.acts if act.name not in acts]) for service in cast(Limits())]


def walked(walk: Walk) -> Seen:
    """Raises AssertionError, with the way there, for the first state in which a promise is broken."""
    seen = Seen()
    for state in walk.run(MOST):
        seen.states += 1
        if walk.quiet(state):
            joint = Joint.of([rows.states[row] for rows, row in zip(walk.rows, state.rows, strict=True)])
            seen.quiet.add(tuple(rows.written[row] for rows, row in zip(walk.rows, state.rows, strict=True)))
            try:
                _look(walk, state, joint, seen)
            except Exception as error:
                error.add_note("\n".join(["It came to this so:", *walk.way_to(state), "And each holds:", *map(repr, joint.states)]))
                raise
    seen.did = walk.did
    seen.rows = {rows.service.name: rows.states for rows in walk.rows}
    for complaint in seen.rows["intake"]:
        assert not complaint.registered or complaint.closed or next_step(complaint), (
            f"it is open, and nobody owes the next step: {complaint}"
        )
    return seen


def _look(walk: Walk, state: State, joint: Joint, seen: Seen) -> None:
    """All is read, and nothing is due."""
    agree(joint)
    possible = {step.act.name for _, step in walk.steps(state)}
    if joint.ended:
        nothing_left(joint)
        assert not possible, f"it has ended, and {possible} may still be done"
        seen.ends[f"{joint.callback.done.reason} in cycle {joint.callback.done.cycle}"] += 1
    else:
        seen.owed[somebody_owes(joint, possible.__contains__)] += 1
