"""What a complaint is from its registration on, for the services that show it to people or write of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from redress_events.contracts.intake import ComplaintRegistered, EarlierComplaint
from redress_events.event import Instant
from redress_events.vocabulary import Channel, ContactKind


@dataclass(frozen=True, slots=True)
class Registration:
    """words: under its field's name, the reference by which each personal field that was given is opened."""

    number: str
    channel: Channel
    kind: ContactKind
    received_at: Instant
    product: str | None = None
    area: str | None = None
    refers_to: EarlierComplaint | None = None
    words: dict[str, str] = field(default_factory=dict)


def registered(event: ComplaintRegistered) -> Registration:
    return Registration(
        number=event.number,
        channel=event.channel,
        kind=event.kind,
        received_at=event.received_at,
        product=event.product,
        area=event.area,
        refers_to=event.refers_to,
        words=event.personal_values(),
    )
