"""What the services promise together: who has the next step, that they can take it, and that all agree once all is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redress_callback.domain.own import fingerprint
from redress_callback.domain.visit import Visit
from redress_handling.domain.case import Case, CaseStage
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.next_step import NextStep, next_step
from redress_sla_monitor.domain.watch import Watch
from redress_triage.domain.complaint import Complaint as Classified

# What is asked of people in the words of `redress pending` and GET /pending, and the act that does it.
ASKED = {
    "accept the case": "accept",
    "contact the customer": "contact",
    "resolve or reject the case": "resolve",
    "call the customer": "satisfied",
    "close it as unreachable when the waiting time is over": "give-up",
}


@dataclass(frozen=True, slots=True)
class Joint:
    """What each of the five holds of one complaint."""

    intake: Complaint
    triage: Classified
    handling: Case
    callback: Visit
    monitor: Watch

    @classmethod
    def of(cls, states: Sequence[Any]) -> Joint:
        return cls(*states)

    @property
    def states(self) -> tuple[Any, ...]:
        return self.intake, self.triage, self.handling, self.callback, self.monitor

    @property
    def ended(self) -> bool:
        """Callback alone ends a complaint."""
        return self.callback.closed

    @property
    def owed(self) -> NextStep | None:
        return next_step(self.intake)


def agree(joint: Joint) -> None:
    """All have read all and nothing is due: department, cycle and end are the same for everybody."""
    cycles = [joint.intake.observed.cycle, joint.triage.observed.cycle, joint.handling.observed.cycle, joint.callback.own.cycle]
    cycles.append(max(cycle.number for cycle in joint.monitor.observed.cycles))
    assert len(set(cycles)) == 1, f"they do not agree on the cycle, {cycles}"
    ends = [joint.intake.closed, joint.triage.closed, joint.handling.closed, joint.callback.closed]
    ends.append(joint.monitor.observed.cycles[-1].closed_at is not None)
    assert len(set(ends)) == 1, f"they do not agree whether it has ended, {ends}"
    departments = [
        joint.intake.observed.department,
        joint.triage.department or None,
        joint.handling.department,
        joint.callback.observed.department,
        joint.monitor.observed.department,
    ]
    assert len(set(departments)) == 1, f"they do not agree where it is, {departments}"


def nothing_left(joint: Joint) -> None:
    """It has ended and all know it: nobody works on it, no clock runs, and the public record says what is known."""
    assert joint.owed is None, f"it has ended, and {joint.owed} is owed"
    assert joint.handling.stage not in (CaseStage.OPEN, CaseStage.ACCEPTED), "it has ended, and the case is in a department's list"
    running = [clock for clock in joint.monitor.own.clocks if clock.ended is None]
    assert not running, "it has ended, and a clock runs"
    assert joint.callback.own.revision > 0, "it has ended, and nothing is published"
    late = {f"{clock.clock}/{clock.cycle}" for clock in joint.monitor.own.clocks if clock.verdict == "breached"}
    assert set(joint.callback.own.published) == late, "other deadlines are published as missed than were missed"
    if known := {(each.clock, each.cycle): each.met_at for each in joint.callback.clocks}:
        ended = [each for each in joint.monitor.own.clocks if each.ended == "met" and each.verdict != "annulled"]
        met = {(each.clock, each.cycle): each.ended_at for each in ended}
        assert {key: known.get(key) for key in met} == met, "other clocks are published as met than were met"
    assert joint.callback.own.published_clocks == fingerprint(joint.callback.clocks), "what is known of the clocks was not published"


def something_is_pending(joint: Joint, can: Callable[[str], bool]) -> str:
    """It has not ended: whom intake names has the next step, and can take it now. can: is this act possible now. Returns the act."""
    owed = joint.owed
    assert owed is not None, "it is open, and nobody has the next step"
    act = ASKED.get(owed.step)
    assert act is not None, f"nothing is due, and {owed.owner} is said to owe it: {owed.step}"
    assert can(act), f"{owed.owner} is said to owe it, and cannot: {owed.step}"
    if owed.owner.startswith("department:"):
        assert owed.owner == f"department:{joint.handling.department}", f"{owed.owner} has no such case"
    return act
