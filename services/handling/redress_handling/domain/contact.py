"""Contact the customer: a person spoke with them, or wrote to them, about the case. (Handbook 6.2.1 b)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_events.contracts.handling import ContactMeans, CustomerContacted
from redress_events.event import Event, not_after, not_before
from redress_handling.domain.case import Case, expect_accepted
from redress_spine.aggregate import CommandRejected, Context


@dataclass(frozen=True, slots=True)
class ContactCustomer:
    """contacted_at: when it was, if not just now."""

    means: ContactMeans
    contacted_at: datetime | None = None
    note: str | None = None


def contact(case: Case, command: ContactCustomer, context: Context) -> list[Event]:
    """Only what happened in this cycle counts in it: a call before the customer came back is no answer to their coming back."""
    expect_accepted(case, context)
    at = not_after(command.contacted_at or context.now, context.now)
    if at is None:
        raise CommandRejected("contact-in-future", "The contact is in the future. Report it once it has happened.")
    if command.contacted_at and case.began_at:
        at = not_before(at, case.began_at)
    if at is None:
        raise CommandRejected(
            "contact-too-early", "The contact was before this complaint, or before it was reopened. Contact the customer again."
        )
    return [CustomerContacted(cycle=case.own.cycle, means=command.means, contacted_at=at, note=command.note)]
