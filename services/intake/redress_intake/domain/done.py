"""What intake wrote down itself: the complaint as it was given, and how often the customer came back. Words are references."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
    EarlierComplaint,
)
from redress_events.event import EPOCH, Fact, Instant, replace
from redress_events.vocabulary import Channel, ContactKind


@dataclass(frozen=True, slots=True)
class Done:
    """Until the complaint is registered, number is empty and the times are 1970. personal: the reference of each personal field given.
    worded: supplements, and chases with words. attached: attachments of supplements. What was said is in rows of its own (`history.py`)."""

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


def did(done: Done, fact: Fact, at: datetime) -> Done:
    match fact:
        case ComplaintRegistered():
            given = {name: getattr(fact, name) for name in fact.personal_fields()}
            return replace(
                done,
                number=fact.number,
                channel=fact.channel,
                kind=fact.kind,
                received_at=fact.received_at,
                registered_at=at,
                product=fact.product,
                area=fact.area,
                since=fact.since,
                attachments=fact.attachments,
                refers_to=fact.refers_to,
                personal={name: reference for name, reference in given.items() if reference is not None},
            )
        case ComplaintSupplemented():
            attached = done.attached + len(fact.attachments)
            return replace(done, supplements=fact.supplement, attached=attached, worded=done.worded + 1)
        case ComplaintChased():
            first = done.chased_first_at or at
            worded = done.worded + (fact.text is not None)
            return replace(done, chases=fact.chase, chased_first_at=first, chased_at=at, worded=worded)
        case ComplaintWithdrawn():
            return replace(done, withdrawal=fact.withdrawal, withdrawn_at=at)
    return done
