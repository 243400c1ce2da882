"""Register a complaint: it is written down as the customer gave it, and has a number from now on. (Handbook 3.3.1, 6.2.1 a)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redress_events.attachments import joined, numbered
from redress_events.contracts.intake import ComplaintRegistered, EarlierComplaint
from redress_events.event import Event, not_after
from redress_events.vocabulary import Channel, ContactKind
from redress_intake.domain.catalogue import NOTHING_KNOWN, Catalogue
from redress_intake.domain.number import number_from
from redress_intake.domain.own import Own
from redress_spine.aggregate import Context


class Implausible(Exception):
    """A date that cannot be. field: its name in the command."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """received_at: None for now, earlier where it came by letter, e-mail or a shop's list. refers_to: the caller has found it.
    product, area: as they were said. attachments: names that the front end gave. metadata: a JSON object."""

    channel: Channel
    kind: ContactKind
    text: str
    received_at: datetime | None = None
    customer: str | None = None
    on_behalf_of: str | None = None
    contact_person: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    service_number: str | None = None
    product: str | None = None
    area: str | None = None
    since: datetime | None = None
    remedy: str | None = None
    instruction: str | None = None
    attachments: tuple[str, ...] = ()
    refers_to: EarlierComplaint | None = None
    account: str | None = None
    external_id: str | None = None
    metadata: str | None = None


def register(command: Register, context: Context, *, catalogue: Catalogue = NOTHING_KNOWN) -> list[Event]:
    """Received before registered, and begun before received, whatever a front end's clock says. Raises Implausible for dates that only the
    clock can judge.

    In clear stand the catalogue's codes and the numbers of attachments. Their names are sealed, and what was said where it is not the code
    itself."""
    received_at = context.now if command.received_at is None else not_after(command.received_at, context.now)
    if received_at is None:
        raise Implausible("received_at", "The complaint cannot have been received in the future.")
    since = None if command.since is None else not_after(command.since, received_at)
    if command.since is not None and since is None:
        raise Implausible("since", "The fault cannot have begun after the complaint was received.")
    product, area = catalogue.product(command.product), catalogue.area(command.area)
    client = context.actor.partition(":")[2] or None
    return [
        ComplaintRegistered(
            number=number_from(context.entropy),
            channel=command.channel,
            kind=command.kind,
            received_at=received_at,
            customer=command.customer,
            on_behalf_of=command.on_behalf_of,
            contact_person=command.contact_person,
            phone=command.phone,
            email=command.email,
            address=command.address,
            service_number=command.service_number,
            product=product,
            area=area,
            product_said=command.product if command.product != product else None,
            area_said=command.area if command.area != area else None,
            text=command.text,
            since=since,
            remedy=command.remedy,
            instruction=command.instruction,
            attachments=numbered(command.attachments),
            attachment_names=joined(command.attachments),
            refers_to=command.refers_to,
            client=client,
            account=command.account,
            external_id=None if command.external_id is None else external_id_of(client, command.external_id),
            metadata=command.metadata,
        )
    ]


def external_id_of(client: str | None, external_id: str) -> str:
    """As it is sealed and found: two front ends may call two complaints the same. The line break stands once, for an id is visible."""
    return f"{client or ''}\n{external_id}"


def is_same(command: Register, own: Own, words: Mapping[str, str], actor: str) -> bool:
    """Whether the complaint was registered by this command: what would have been registered then is compared with what was. Product and
    area are compared as they were said, for the operator may have changed the catalogue since. words: what its personal fields hold, by
    their reference; who was forgotten is nobody's second."""
    try:
        (event,) = register(command, Context(now=own.registered_at, actor=actor, entropy=bytes(16)))
    except Implausible:
        return False
    assert isinstance(event, ComplaintRegistered)
    sealed = {name: words.get(reference) for name, reference in own.personal.items()}
    given = event.personal_values() | {"product_said": command.product, "area_said": command.area}
    written = {"product_said": own.product, "area_said": own.area, **sealed}  # where it was the code itself, nothing was sealed
    others = ComplaintRegistered.model_fields.keys() - {"number", "product", "area", *ComplaintRegistered.personal_fields()}
    return given == written and all(getattr(event, name) == getattr(own, name) for name in others)
