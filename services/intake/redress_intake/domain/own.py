"""What intake wrote down itself: the complaint as it was given, and how often the customer came back. Words are references."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintForgotten,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
    EarlierComplaint,
)
from redress_events.event import EPOCH, Event, Instant, replace
from redress_events.vocabulary import Channel, ContactKind


@dataclass(frozen=True, slots=True)
class Own:
    """Until the complaint is registered, number is empty and the times are 1970. personal: the reference of each personal field given.
    worded: supplements, and chases with words. attached: attachments of supplements. What was said is in rows of its own (`history.py`).
    client: who registered it."""

    number: str = ""
    channel: Channel = "hotline"
    kind: ContactKind = "complaint"
    received_at: Instant = EPOCH
    registered_at: Instant = EPOCH
    product: str | None = None
    area: str | None = None
    since: Instant | None = None
    attachments: tuple[str, ...] = ()
    refers_to: EarlierComplaint | None = None
    personal: dict[str, str] = field(default_factory=dict)
    supplements: int = 0
    attached: int = 0
    chases: int = 0
    chased_first_at: Instant | None = None
    chased_at: Instant | None = None
    worded: int = 0
    withdrawal: int = 0
    withdrawn_at: Instant | None = None
    client: str | None = None
    forgotten_at: Instant | None = None


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case ComplaintRegistered():
            return replace(
                own,
                number=event.number,
                channel=event.channel,
                kind=event.kind,
                received_at=event.received_at,
                registered_at=at,
                product=event.product,
                area=event.area,
                since=event.since,
                attachments=event.attachments,
                refers_to=event.refers_to,
                client=event.client,
                personal=event.personal_values(),
            )
        case ComplaintSupplemented():
            attached = own.attached + len(event.attachments)
            return replace(own, supplements=event.supplement, attached=attached, worded=own.worded + 1)
        case ComplaintChased():
            first = own.chased_first_at or at
            worded = own.worded + (event.text is not None)
            return replace(own, chases=event.chase, chased_first_at=first, chased_at=at, worded=worded)
        case ComplaintWithdrawn():
            return replace(own, withdrawal=event.withdrawal, withdrawn_at=at)
        case ComplaintForgotten():
            return replace(own, forgotten_at=at)
    return own
