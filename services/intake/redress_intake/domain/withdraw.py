"""Withdraw a complaint: the customer's wish to end it. A wish, not an end: callback answers its number by closing."""

from dataclasses import dataclass

from redress_events.contracts.intake import ComplaintWithdrawn
from redress_events.event import Event
from redress_intake.domain.complaint import Complaint, refuse_if_closed
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Withdraw:
    reason: str | None = None


def withdraw(complaint: Complaint, command: Withdraw, context: Context) -> list[Event]:
    refuse_if_closed(complaint)
    if complaint.withdrawal_pending:
        return []  # said twice, wished once
    return [ComplaintWithdrawn(withdrawal=complaint.own.withdrawal + 1, reason=command.reason)]
