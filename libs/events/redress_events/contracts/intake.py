"""What intake publishes: the complaint as the customer gave it, the customer's own later words, and who is told what becomes of it."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from redress_events.event import Contract, Event, Forgetting, Personal, UtcTime
from redress_events.vocabulary import Channel, ContactKind

AskedBy = Literal["customer", "retention", "court"]  # who wants a complaint forgotten; retention: the operator's own rule of how long


class EarlierComplaint(BaseModel):
    """A complaint that was registered before, of whatever stage by now."""

    model_config = ConfigDict(frozen=True)

    complaint: str  # its id
    number: str


class ComplaintRegistered(Event):
    """A complaint was taken down and has a number. (Handbook 3.3.1, 6.2.1 a)"""

    number: str
    channel: Channel
    kind: ContactKind
    received_at: UtcTime  # clocks that begin with the complaint begin here, not at registration
    customer: Personal | None = None
    on_behalf_of: Personal | None = None
    contact_person: Personal | None = None
    phone: Personal | None = None
    email: Personal | None = None
    address: Personal | None = None
    service_number: Personal | None = None
    product: str | None = None
    area: str | None = None
    text: Personal
    since: UtcTime | None = None  # since when the fault is there (SOP 2.2.1)
    remedy: Personal | None = None
    instruction: Personal | None = None  # how the receiving agent asks the department to handle it
    attachments: tuple[str, ...] = ()
    refers_to: EarlierComplaint | None = None  # the one that this one takes up again, most often because that is closed
    client: str | None = None  # who registered it: the subject of the token
    account: Personal | None = None  # the customer's account at the operator
    external_id: Personal | None = None  # `client`, a line break, and what that calls it: together no two complaints have it
    metadata: Personal | None = None  # what `client` keeps with it, as a JSON object


class ComplaintSupplemented(Event):
    """The customer added something."""

    supplement: int  # 1, 2, 3 … on this complaint
    text: Personal
    attachments: tuple[str, ...] = ()


class ComplaintChased(Event):
    """The customer asked where it stays."""

    chase: int
    text: Personal | None = None


class ComplaintWithdrawn(Event):
    """The customer wishes to end it. A wish, not an end: callback answers the number with ComplaintClosed."""

    withdrawal: int
    reason: Personal | None = None


class ComplaintForgotten(Forgetting):
    """Nobody can read any more what the customer gave and said. Numbers, times and categories stay. (Personal Information Protection Law,
    art. 47) Who decided it is the event's actor."""

    asked_by: AskedBy
    reason: str  # in clear, and for ever: nothing of a customer


class WebhookSubscribed(Event):
    """A front end wants to be told when complaints that it registered reach these stages."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"

    client: str
    stages: tuple[str, ...]
    address: Personal
    secret: Personal  # with which what is told is signed


class WebhookUnsubscribed(Event):
    """The front end wants to be told no more."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"


class WebhookDisabled(Event):
    """Nothing more is told: the receiver said that it is gone, or took nothing for a day."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"

    reason: Literal["gone", "failing"]


class WebhookEnabled(Event):
    """The front end wants to be told again, of what is reached from now on."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"


INTAKE = Contract(
    "intake",
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintChased,
    ComplaintWithdrawn,
    ComplaintForgotten,
    WebhookSubscribed,
    WebhookUnsubscribed,
    WebhookDisabled,
    WebhookEnabled,
)
