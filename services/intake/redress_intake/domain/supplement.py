"""Supplement a complaint: the customer adds something."""

from dataclasses import dataclass

from redress_events.contracts.intake import ComplaintSupplemented
from redress_events.event import Event
from redress_intake.domain.complaint import Complaint, refuse_if_closed
from redress_intake.domain.limits import LIMITS, Limits, refuse_if_full
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Supplement:
    text: str
    attachments: tuple[str, ...] = ()


def supplement(complaint: Complaint, command: Supplement, context: Context, *, limits: Limits = LIMITS) -> list[Event]:
    refuse_if_closed(complaint)
    refuse_if_full(complaint, limits, len(command.attachments))
    return [ComplaintSupplemented(supplement=complaint.own.supplements + 1, text=command.text, attachments=command.attachments)]
