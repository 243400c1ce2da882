"""Forget a complaint: nobody can read any more what the customer gave and said. It cannot be taken back."""

from dataclasses import dataclass

from redress_events.contracts.intake import AskedBy, ComplaintForgotten
from redress_events.event import Event
from redress_intake.domain.complaint import Complaint
from redress_spine.aggregate import CommandRejected, Context


@dataclass(frozen=True, slots=True)
class Forget:
    """proof: by which the key may be destroyed."""

    asked_by: AskedBy
    reason: str
    proof: str


def forget(complaint: Complaint, command: Forget, context: Context) -> list[Event]:
    """Once it is closed: until then somebody owes the customer a next step, and needs their words. They are also what a department's work
    is judged by, so nobody of one decides it. To say it again changes nothing."""
    if context.department is not None:
        raise CommandRejected(
            "of-a-department",
            "You belong to a department, and its work is judged by what customers said. Ask a supervisor without a department.",
        )
    if complaint.own.forgotten_at is not None:
        return []
    if not complaint.closed:
        raise CommandRejected(
            "complaint-open",
            "The complaint is not closed, and those who work on it need the customer's words. Forget it once it is closed, "
            "or let the customer withdraw it first.",
        )
    return [ComplaintForgotten(asked_by=command.asked_by, reason=command.reason, proof=command.proof)]
