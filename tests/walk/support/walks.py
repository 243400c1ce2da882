"""The walks that are made, each once for all tests, and what they came by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from machines import Limits, Service, machines
from promises import Joint, agree, nothing_left, something_is_pending
from walk import State, Walk

from redress_intake.domain.next_step import next_step

MOST = 200_000  # states of a walk; what lies beyond is for test_random_walks.py
MOVES = {"transfer", "reroute", "reject", "missed"}


@dataclass
class Observation:
    """What a walk came by, so that one that covers nothing is noticed. rows: each service's states by its name."""

    states: int = 0
    idle: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    evolve: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    owed: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[Any]] = field(default_factory=dict)


@cache
def moves_about() -> Observation:
    """Withdrawn, rejected, transferred, routed elsewhere, not solved: each once, at any point. Deadlines are never reached."""
    return walked(Walk(machines(Limits())))


@cache
def runs_late() -> Observation:
    """Withdrawn, not solved: each once. And the deadlines pass at any moment, so what was decided before may be observed after."""
    return walked(Walk(_without(MOVES), passes=True))


@cache
def keeps_to_the_main_road(short: bool) -> Observation:
    """Withdrawn, not solved: each once. short: with the walk's short cuts."""
    return walked(Walk(_without(MOVES), short=short))


def _without(acts: set[str]) -> list[Service]:
    return [replace(service, acts=[act for act in service.acts if act.name not in acts]) for service in machines(Limits())]


def walked(walk: Walk) -> Observation:
    """Raises AssertionError, with the way there, for the first state in which a promise is broken."""
    seen = Observation()
    for state in walk.run(MOST):
        seen.states += 1
        if walk.idle(state):
            joint = Joint.of([rows.states[row] for rows, row in zip(walk.rows, state.rows, strict=True)])
            seen.idle.add(tuple(rows.written[row] for rows, row in zip(walk.rows, state.rows, strict=True)))
            try:
                _look(walk, state, joint, seen)
            except Exception as error:
                error.add_note("\n".join(["It came to this so:", *walk.way_to(state), "And each holds:", *map(repr, joint.states)]))
                raise
    seen.evolve = walk.evolve
    seen.rows = {rows.service.name: rows.states for rows in walk.rows}
    for complaint in seen.rows["intake"]:
        assert not complaint.registered or complaint.closed or next_step(complaint), (
            f"it is open, and nobody has the next step: {complaint}"
        )
    return seen


def _look(walk: Walk, state: State, joint: Joint, seen: Observation) -> None:
    """All is read, and nothing is due."""
    agree(joint)
    possible = {step.act.name for _, step in walk.steps(state)}
    if joint.ended:
        nothing_left(joint)
        assert not possible, f"it has ended, and {possible} may still be done"
        seen.ends[f"{joint.callback.own.reason} in cycle {joint.callback.own.cycle}"] += 1
    else:
        seen.owed[something_is_pending(joint, possible.__contains__)] += 1
