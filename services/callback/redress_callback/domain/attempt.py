"""Record an attempt to reach the customer, and what he said: is it solved, and how satisfied is he. (Handbook 3.3.3)"""

from __future__ import annotations

from dataclasses import dataclass

from redress_callback.domain.closing import end
from redress_callback.domain.done import Answer
from redress_callback.domain.policy import Policy
from redress_callback.domain.visit import Stage, Visit
from redress_events.contracts.callback import CallbackAttempted, ComplaintReopened, SatisfactionRecorded
from redress_events.event import Fact
from redress_spine.aggregate import Context, Refused


@dataclass(frozen=True, slots=True)
class Attempt:
    """answer: what the customer said, None if he was not reached. note: the agent's own words."""

    answer: Answer | None = None
    note: str | None = None


def attempt(visit: Visit, command: Attempt, context: Context, *, policy: Policy) -> list[Fact]:
    """Solved and at least the policy's lowest score: closed. Else reopened: a new cycle goes back to handling, more urgent.

    An agent may try before the time that was set, and also after the last attempt, until the complaint is closed.
    """
    match visit.stage:
        case Stage.CLOSED:
            raise Refused("complaint-closed", "The complaint is closed: nobody is to be called any more.")
        case Stage.WAITING if visit.withdrawn:
            raise Refused("no-visit-due", "The customer has withdrawn the complaint: it is being closed.")
        case Stage.WAITING:
            raise Refused("no-visit-due", "No return visit is due: the complaint must be resolved or rejected first.")
    if command.answer is None:
        return [_missed(visit, command, context, policy)]
    cycle, answer = visit.done.cycle, command.answer
    facts: list[Fact] = [
        CallbackAttempted(cycle=cycle, attempt=visit.done.tries + 1, reached=True, note=command.note, said=visit.heard.said),
        SatisfactionRecorded(cycle=cycle, solved=answer.solved, score=answer.score, words=answer.words),
    ]
    if answer.solved and answer.score >= policy.lowest_score:
        return end(visit, context, "satisfied", before=facts)
    return [*facts, ComplaintReopened(cycle=cycle + 1, urgency=cycle)]


def _missed(visit: Visit, command: Attempt, context: Context, policy: Policy) -> CallbackAttempted:
    """The waiting time runs from the last attempt that the policy asks for; one more try does not prolong it. With the first attempt after
    the customer said something, attempts and waiting time begin anew."""
    anew = visit.heard.said > visit.done.said
    last = (1 if anew else visit.done.vain + 1) >= policy.attempts
    waiting = None if anew else visit.done.give_up_at
    return CallbackAttempted(
        cycle=visit.done.cycle,
        attempt=visit.done.tries + 1,
        reached=False,
        note=command.note,
        next_at=None if last else context.now + policy.spacing,
        give_up_at=(waiting or context.now + policy.give_up) if last else None,
        said=visit.heard.said,
    )
