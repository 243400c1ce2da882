"""Reroute: a person sends a complaint to another department or queue, with a reason. (Handbook 6.2.1 b)"""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_spine.aggregate import CommandRejected, Context
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.routing import Desk


@dataclass(frozen=True, slots=True)
class Reroute:
    """The caller has checked that the table knows the desk."""

    department: str
    queue: str
    reason: str


def reroute(complaint: Complaint, command: Reroute, context: Context) -> list[Event]:
    """A review stays open: where a complaint stands does not say what it is. Raises CommandRejected: complaint-closed, not-classified."""
    complaint.must_be_open()
    if not complaint.own.classification.number:
        raise CommandRejected("not-classified", "The complaint is not classified yet.")
    if complaint.stands_at(Desk(department=command.department, queue=command.queue)):
        return []
    return [
        ComplaintRouted(
            routing=complaint.own.routing.number + 1,
            department=command.department,
            queue=command.queue,
            by="person",
            reason=command.reason,
        )
    ]
