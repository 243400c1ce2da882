"""What may be sent to intake, field by field. What only the clock can judge is judged where the complaint is registered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from redress_chassis import Body, Form, Moment, Reason, Short, Words
from redress_chassis.api.paging import MOST, USUAL
from redress_chassis.api.texts import line
from redress_chassis.edge.outbound import LONGEST_ADDRESS
from redress_events.contracts.intake import AskedBy, EarlierComplaint
from redress_events.vocabulary import Channel, ContactKind
from redress_intake.domain.number import parse_number
from redress_intake.domain.register import Register
from redress_intake.domain.subscription import TOLD_STAGES, ToldStage
from redress_intake.signatures import key_of

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MOST_ATTACHMENTS = 20


def _not_too_old(moment: datetime) -> datetime:
    if moment < EARLIEST:
        raise ValueError("This is before the year 2000.")
    return moment


def _visible(text: str) -> str:
    if not text.isprintable():
        raise ValueError("Write visible characters only.")
    return text


def _id_or_number(said: str) -> str:
    """Its id in small letters, or its number as it is written."""
    try:
        return str(UUID(said))
    except ValueError:
        return parse_number(said)


Day = Annotated[Moment, AfterValidator(_not_too_old)]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    Form(r"^[^@\s\x00]+@[^@\s\x00]+$", "Write an e-mail address, like zhang.wei@example.com."),
    AfterValidator(line),
]
Earlier = Annotated[
    str,
    Field(max_length=45, description="An earlier complaint: its id, or its number as it is written or said."),
    AfterValidator(_id_or_number),
]
ExternalId = Annotated[
    str,
    Form(r"^\S{1,100}$", "Write 1 to 100 visible characters, without spaces."),
    AfterValidator(line),
    AfterValidator(_visible),
    Field(description="Your own id for it: unique among the complaints that you register. You can find it by this id."),
]
MetadataKey = Annotated[str, Form(r"^[a-z0-9_-]{1,40}$", "Name a key with 1 to 40 small Latin letters, digits, _ and -.")]
MetadataValue = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(line)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=20)]
Attachments = Annotated[tuple[Short, ...], Field(max_length=MOST_ATTACHMENTS)]


class RegisterBody(Body):
    """A complaint as the customer gives it. Only channel and text are needed; without `received_at` it is received now."""

    channel: Channel
    kind: ContactKind = "complaint"
    text: Words
    received_at: Day | None = None
    customer: Short | None = None
    on_behalf_of: Short | None = None
    contact_person: Short | None = None
    phone: Short | None = None
    email: Email | None = None
    address: Short | None = None
    service_number: Short | None = None
    product: Short | None = None
    area: Short | None = None
    since: Day | None = None
    remedy: Words | None = None
    instruction: Words | None = None
    attachments: Attachments = ()
    refers_to: Earlier | None = None
    account: Short | None = None
    external_id: ExternalId | None = None
    metadata: Metadata | None = None

    def command(self, refers_to: EarlierComplaint | None) -> Register:
        """refers_to: the complaint that was found under what is said here."""
        metadata = None if self.metadata is None else orjson.dumps(self.metadata, option=orjson.OPT_SORT_KEYS).decode()
        return Register(**{**vars(self), "refers_to": refers_to, "metadata": metadata})


class SearchBody(Body):
    """Exactly one of the three, in any notation. limit, cursor: as in every list."""

    phone: Short | None = None
    account: Short | None = None
    service_number: Short | None = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = USUAL
    cursor: Annotated[str, Field(max_length=400)] | None = None

    @model_validator(mode="after")
    def _one(self) -> SearchBody:
        if [self.phone, self.account, self.service_number].count(None) != 2:
            raise ValueError("Search by a phone number, by an account or by a service number.")
        return self

    @property
    def asked(self) -> tuple[str, str]:
        """The name of the field, and what it holds."""
        return next((name, text) for name in ("phone", "account", "service_number") if (text := getattr(self, name)) is not None)


class SupplementBody(Body):
    """What the customer adds."""

    text: Words
    attachments: Attachments = ()


class ChaseBody(Body):
    """The customer asks for an update, with or without words."""

    text: Words | None = None


class WithdrawBody(Body):
    """The customer wishes to end it, with or without a reason."""

    reason: Words | None = None


class ForgetBody(Body):
    """Who asked for it, and why: kept in clear for ever, so nothing of the customer."""

    asked_by: AskedBy
    reason: Reason


def _secret(text: str) -> str:
    key_of(text)
    return text


class SubscriptionBody(Body):
    """Where to, of which stages (all, where none are named), and signed with what: without a secret one is made."""

    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_ADDRESS)]
    stages: Annotated[tuple[ToldStage, ...], Field(min_length=1)] = TOLD_STAGES
    secret: Annotated[str, StringConstraints(max_length=200), AfterValidator(_secret)] | None = None
