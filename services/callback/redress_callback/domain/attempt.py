"""Record an attempt to reach the customer, and what they said: is it solved, and how satisfied are they. (Handbook 3.3.3)"""

from __future__ import annotations

from dataclasses import dataclass

from redress_callback.domain.closing import end
from redress_callback.domain.own import Satisfaction
from redress_callback.domain.policy import VisitPolicy
from redress_callback.domain.visit import Visit, VisitStage
from redress_events.contracts.callback import CallbackAttempted, ComplaintReopened, SatisfactionRecorded
from redress_events.event import Event
from redress_spine.aggregate import CommandRejected, Context


@dataclass(frozen=True, slots=True)
class Attempt:
    """answer: what the customer said, None if they were not reached. note: the agent's own words."""

    answer: Satisfaction | None = None
    note: str | None = None


def attempt(visit: Visit, command: Attempt, context: Context, *, policy: VisitPolicy) -> list[Event]:
    """Solved and at least the policy's lowest score: closed. Else reopened: a new cycle goes back to handling, more urgent.

    An agent may try before the time that was set, and also after the last attempt, until the complaint is closed.
    """
    match visit.stage:
        case VisitStage.CLOSED:
            raise CommandRejected("complaint-closed", "The complaint is closed: no more calls are due.")
        case VisitStage.WAITING if visit.withdrawn:
            raise CommandRejected("no-visit-due", "The customer has withdrawn the complaint: it is being closed.")
        case VisitStage.WAITING:
            raise CommandRejected("no-visit-due", "No return visit is due: the complaint must be resolved or rejected first.")
    if command.answer is None:
        return [_missed(visit, command, context, policy)]
    cycle, answer = visit.own.cycle, command.answer
    events: list[Event] = [
        CallbackAttempted(cycle=cycle, attempt=visit.own.tries + 1, reached=True, note=command.note, said=visit.observed.said),
        SatisfactionRecorded(cycle=cycle, solved=answer.solved, score=answer.score, words=answer.words),
    ]
    if answer.solved and answer.score >= policy.lowest_score:
        return end(visit, context, "satisfied", before=events)
    return [*events, ComplaintReopened(cycle=cycle + 1, urgency=cycle)]


def _missed(visit: Visit, command: Attempt, context: Context, policy: VisitPolicy) -> CallbackAttempted:
    """The waiting time runs from the last attempt that the policy asks for; one more try does not prolong it. With the first attempt after
    the customer said something, attempts and waiting time begin again."""
    anew = visit.observed.said > visit.own.said
    last = (1 if anew else visit.own.vain + 1) >= policy.attempts
    waiting = None if anew else visit.own.give_up_at
    return CallbackAttempted(
        cycle=visit.own.cycle,
        attempt=visit.own.tries + 1,
        reached=False,
        note=command.note,
        next_at=None if last else context.now + policy.spacing,
        give_up_at=(waiting or context.now + policy.give_up) if last else None,
        said=visit.observed.said,
    )
