"""Supplement a complaint: the customer adds something."""

from dataclasses import dataclass

from redress_events.attachments import joined, numbered
from redress_events.contracts.intake import ComplaintSupplemented
from redress_events.event import Event
from redress_intake.domain.complaint import Complaint, refuse_if_closed
from redress_intake.domain.limits import LIMITS, Limits, refuse_if_full
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Supplement:
    """attachments: names that the front end gave."""

    text: str
    attachments: tuple[str, ...] = ()


def supplement(complaint: Complaint, command: Supplement, context: Context, *, limits: Limits = LIMITS) -> list[Event]:
    refuse_if_closed(complaint)
    refuse_if_full(complaint, limits, len(command.attachments))
    before = len(complaint.own.attachments) + complaint.own.attached
    return [
        ComplaintSupplemented(
            supplement=complaint.own.supplements + 1,
            text=command.text,
            attachments=numbered(command.attachments, after=before),
            attachment_names=joined(command.attachments),
        )
    ]
