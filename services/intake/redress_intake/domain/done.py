"""What intake wrote down itself: the complaint as it was given, and what the customer said later. Words are references for the vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.facts import EPOCH, Channel, ContactKind, Fact, Instant, replace


@dataclass(frozen=True, slots=True)
class Said:
    """Later words of the customer. n: 1, 2, 3 … of its kind."""

    what: Literal["supplement", "chase", "withdrawal"]
    n: int
    at: Instant
    words: str | None = None
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """Until the complaint is registered, number is empty and the times are 1970. personal: the reference of each personal field given."""

    number: str = ""
    channel: Channel = "hotline"
    kind: ContactKind = "complaint"
    received_at: Instant = EPOCH
    registered_at: Instant = EPOCH
    product: str | None = None
    area: str | None = None
    since: Instant | None = None
    attachments: tuple[str, ...] = ()
    personal: dict[str, str] = field(default_factory=dict)
    supplements: int = 0
    chases: int = 0
    withdrawal: int = 0
    said: tuple[Said, ...] = ()


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
                personal={name: reference for name, reference in given.items() if reference is not None},
            )
        case ComplaintSupplemented():
            said = Said("supplement", fact.supplement, at, fact.text, fact.attachments)
            return replace(done, supplements=fact.supplement, said=(*done.said, said))
        case ComplaintChased():
            return replace(done, chases=fact.chase, said=(*done.said, Said("chase", fact.chase, at, fact.text)))
        case ComplaintWithdrawn():
            said = Said("withdrawal", fact.withdrawal, at, fact.reason)
            return replace(done, withdrawal=fact.withdrawal, said=(*done.said, said))
    return done
