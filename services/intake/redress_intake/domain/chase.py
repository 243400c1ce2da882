"""Chase a complaint: the customer asks for an update. Each time they ask is an event of its own."""

from dataclasses import dataclass

from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_intake.domain.complaint import Complaint, refuse_if_closed
from redress_intake.domain.limits import LIMITS, Limits, refuse_if_full
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Chase:
    text: str | None = None


def chase(complaint: Complaint, command: Chase, context: Context, *, limits: Limits = LIMITS) -> list[Event]:
    refuse_if_closed(complaint)
    if command.text is not None:
        refuse_if_full(complaint, limits)
    return [ComplaintChased(chase=complaint.own.chases + 1, text=command.text)]
