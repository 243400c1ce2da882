"""What intake publishes: the complaint as the customer gave it, the customer's own later words, and subscriptions to its stages."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from redress_events.event import Contract, Event, Forgetting, Personal, UtcTime
from redress_events.vocabulary import Channel, ContactKind

AskedBy = Literal["customer", "retention", "court"]  # who wants a complaint forgotten; retention: the operator's own rule of how long


class EarlierComplaint(BaseModel):
    """A complaint that was registered before; it may be in any stage by now."""

    model_config = ConfigDict(frozen=True)

    complaint: str  # its id
    number: str


class ComplaintRegistered(Event):
    """A complaint was registered and has a number. (Handbook 3.3.1, 6.2.1 a)"""

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
    product: str | None = None  # a code of the operator's catalogue, or "other"; before there was one, as it was said
    area: str | None = None  # the same
    product_said: Personal | None = None  # in the words of whoever registered it
    area_said: Personal | None = None
    text: Personal
    since: UtcTime | None = None  # since when the fault is there (SOP 2.2.1)
    remedy: Personal | None = None
    instruction: Personal | None = None  # how the receiving agent asks the department to handle it
    attachments: tuple[str, ...] = ()  # their ids; before names were sealed, the names
    attachment_names: Personal | None = None  # one on each line
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
    attachment_names: Personal | None = None


class ComplaintChased(Event):
    """The customer asked for an update."""

    chase: int
    text: Personal | None = None


class ComplaintWithdrawn(Event):
    """The customer no longer pursues it. This is a request, not the end: callback answers the number with ComplaintClosed."""

    withdrawal: int
    reason: Personal | None = None


class ComplaintForgotten(Forgetting):
    """What the customer gave and said is unreadable from now on. Numbers, times and categories stay. (Personal Information Protection Law,
    art. 47) Who decided it is the event's actor."""

    asked_by: AskedBy
    reason: str  # in clear, and forever: nothing of a customer


class WebhookSubscribed(Event):
    """A front end wants messages when complaints that it registered reach these stages."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"

    client: str
    stages: tuple[str, ...]
    address: Personal
    secret: Personal  # with which what is told is signed


class WebhookUnsubscribed(Event):
    """The front end wants no more messages."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"


class WebhookDisabled(Event):
    """No more messages are sent: the receiver said that it is gone, or accepted nothing for a day."""

    stream: ClassVar[str] = "subscription"
    decided_on: ClassVar[str] = "subscription"

    reason: Literal["gone", "failing"]


class WebhookEnabled(Event):
    """The front end wants messages again, about stages that are reached from now on."""

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
