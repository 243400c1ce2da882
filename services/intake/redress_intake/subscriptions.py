"""Subscriptions over HTTP: a front end says where it wants to be told, sees what was delivered, and has it delivered again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from redress_chassis import Body, Commands, Cursor, Limit, Permitted, problems
from redress_chassis.api.validation import Flaw
from redress_chassis.edge.outbound import LONGEST_ADDRESS, Forbidden, Unresolved, checked, parse
from redress_chassis.edge.problems import invalid
from redress_events.event import Event, from_micros
from redress_intake.domain.enable import Enable, enable
from redress_intake.domain.subscribe import Subscribe, subscribe
from redress_intake.domain.subscription import SUBSCRIPTIONS, TOLD_STAGES, Subscription, ToldStage
from redress_intake.domain.unsubscribe import Unsubscribe, unsubscribe
from redress_intake.signatures import key_of, new_secret
from redress_intake.telling import TELLS
from redress_intake.webhooks import NAME
from redress_spine.aggregate import CommandRejected, Context
from redress_spine.processing.effects import Shown
from redress_spine.store.states import Loaded, Query

router = APIRouter(tags=["subscriptions"])

OWN = Query("subscriptions", where="true", order="subscribed_at", index="subscriptions_subscriber", owner="subscriber", table=SUBSCRIPTIONS)
MOST = 20  # subscriptions of one front end: a program that subscribes at each start is told, before it is told everything twenty times

SubscriptionId = Annotated[UUID, Path(description="The subscription's id, as making it answered.")]
DeliveryId = Annotated[str, Path(pattern="^msg_[0-9a-f]{32}$", description="The message's id: its header `webhook-id`.")]


def _secret(text: str) -> str:
    key_of(text)
    return text


class SubscriptionBody(Body):
    """Where to, of which stages (all, where none are named), and signed with what: without a secret one is made."""

    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_ADDRESS)]
    stages: Annotated[tuple[ToldStage, ...], Field(min_length=1)] = TOLD_STAGES
    secret: Annotated[str, StringConstraints(max_length=200), AfterValidator(_secret)] | None = None


class SubscriptionView(BaseModel):
    """disabled: why nothing is told any more. `gone`: the receiver answered 410; `failing`: it took nothing for a day."""

    id: UUID
    address: str | None = None
    stages: tuple[str, ...]
    subscribed_at: datetime
    active: bool
    disabled: Literal["gone", "failing"] | None = None
    disabled_at: datetime | None = None

    @classmethod
    def of(cls, loaded: Loaded, words: Mapping[str, str]) -> SubscriptionView:
        return cls(**_shown(loaded, words))


class NewSubscriptionView(SubscriptionView):
    """The only answer that has the secret."""

    secret: str | None = None


class SubscriptionPage(BaseModel):
    """Subscriptions, the oldest first. next: the cursor of the next page."""

    items: list[SubscriptionView]
    next: str | None = None


class DeliveryView(BaseModel):
    """One message. status: `waiting` for its first attempt or the next one, `delivered`, `given-up`, or `dropped` where it was not
    wanted any more. next_at: not before then. error: of the last attempt that failed."""

    id: str
    complaint: UUID
    number: str
    stage: str
    cycle: int | None = None
    reached_at: datetime
    status: Literal["waiting", "delivered", "given-up", "dropped"]
    attempts: int
    next_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None

    @classmethod
    def of(cls, shown: Shown) -> DeliveryView:
        data, statuses = shown.data, {"done": "delivered", "dead": "given-up"}
        return cls.model_validate(
            {
                "id": shown.key,
                "complaint": data["complaint"],
                "number": data["number"],
                "stage": data["stage"],
                "cycle": data["cycle"],
                "reached_at": from_micros(data["at"]),
                "status": statuses.get(shown.status, shown.status),
                "attempts": shown.attempts,
                "next_at": shown.next_at,
                "finished_at": shown.finished_at,
                "error": shown.error,
            }
        )


class DeliveryPage(BaseModel):
    """Messages, the latest first. next: the cursor of the next page."""

    items: list[DeliveryView]
    next: str | None = None


class StageReached(BaseModel):
    """What happened. cycle: left out where it holds for the whole complaint. links: paths at intake."""

    id: UUID
    number: str
    stage: ToldStage
    cycle: int | None = None
    reached_at: datetime
    links: dict[Literal["complaint", "stages"], str]


class Message(BaseModel):
    """A complaint that you registered reached a stage. Signed as Standard Webhooks defines; ids, number, stage, time and links, and nothing
    of what the customer said."""

    type: Literal["complaint.stage-reached"]
    timestamp: datetime
    data: StageReached


@router.post("/subscriptions", status_code=201, response_model_exclude_none=True, responses=problems(409))
async def make_subscription(body: SubscriptionBody, commands: Permitted[Subscription]) -> NewSubscriptionView:
    """Be told when complaints that you registered reach a stage. The answer has the secret, once: keep it, to verify signatures."""
    refusal = await _refusal(body, commands)
    stages = tuple(stage for stage in TOLD_STAGES if stage in body.stages)
    command = Subscribe(commands.caller.sub, body.address, stages, body.secret or new_secret())

    def decide(context: Context) -> list[Event]:
        if refusal is not None:  # here, where a request that is repeated under its key finds its first answer
            raise refusal
        return subscribe(command, context)

    loaded = await commands.create(decide, kind="subscription")
    commands.created(f"/subscriptions/{loaded.id}")
    words = await _words(commands, loaded, secret=True)
    return NewSubscriptionView(**_shown(loaded, words), secret=words.get(loaded.state.own.secret))


@router.get("/subscriptions", response_model_exclude_none=True, responses=problems(400))
async def list_subscriptions(commands: Permitted[Subscription], limit: Limit = 50, cursor: Cursor = None) -> SubscriptionPage:
    """Your subscriptions, those too that were disabled."""
    page = await commands.page(OWN, limit=limit, cursor=cursor)
    return SubscriptionPage(items=[SubscriptionView.of(loaded, await _words(commands, loaded)) for loaded in page.items], next=page.next)


@router.get("/subscriptions/{subscription}", response_model_exclude_none=True, responses=problems(404))
async def read_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> SubscriptionView:
    """One of your subscriptions."""
    loaded = await _seen(commands, subscription)
    return SubscriptionView.of(loaded, await _words(commands, loaded))


@router.delete("/subscriptions/{subscription}", status_code=204, responses=problems(404, 412))
async def delete_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> None:
    """Be told no more, not even what waits."""
    await commands.decide(subscription, Unsubscribe(), unsubscribe, kind="subscription")


@router.post("/subscriptions/{subscription}/enable", response_model_exclude_none=True, responses=problems(404, 412))
async def enable_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> SubscriptionView:
    """Be told again, after it was disabled, of what is reached from now on. What was reached meanwhile is not told."""
    loaded = await commands.decide(subscription, Enable(), enable, kind="subscription")
    return SubscriptionView.of(loaded, await _words(commands, loaded))


@router.get("/subscriptions/{subscription}/deliveries", response_model_exclude_none=True, responses=problems(400, 404))
async def list_deliveries(
    subscription: SubscriptionId, commands: Permitted[Subscription], limit: Limit = 50, cursor: Cursor = None
) -> DeliveryPage:
    """What was delivered, or waits, the latest first. What was delivered is kept for 30 days."""
    page = await commands.effects(await _seen(commands, subscription), NAME, limit=limit, cursor=cursor)
    return DeliveryPage(items=[DeliveryView.of(shown) for shown in page.items], next=page.next)


@router.post(
    "/subscriptions/{subscription}/deliveries/{delivery}/redeliver",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems(404, 409),
)
async def redeliver(subscription: SubscriptionId, delivery: DeliveryId, commands: Permitted[Subscription]) -> DeliveryView:
    """Deliver a message again, under its id and with a new signature. Said twice, it is delivered once more."""
    loaded = await _seen(commands, subscription)
    if not loaded.state.active:
        raise CommandRejected("subscription-disabled", "The subscription was disabled. Enable it first.")
    return DeliveryView.of(await commands.repeat(loaded, NAME, delivery))


async def _refusal(body: SubscriptionBody, commands: Commands[Subscription]) -> Exception | None:
    local = commands.settings.profile == "local"
    try:
        await checked(parse(body.address, local=local), local=local)
    except Forbidden as error:
        return invalid([Flaw("/address", error.message, error.code)])
    except Unresolved:
        return invalid([Flaw("/address", "The host's name has no address.", "unknown-host")])
    if len((await commands.page(OWN, limit=MOST)).items) >= MOST:
        return CommandRejected("too-many-subscriptions", f"You have {MOST} subscriptions. Delete one first.")
    return None


async def _seen(commands: Commands[Subscription], subscription: UUID) -> Loaded:
    return await commands.read(subscription, kind="subscription")


async def _words(commands: Commands[Subscription], loaded: Loaded, secret: bool = False) -> Mapping[str, str]:
    own = loaded.state.own
    return await commands.words(loaded, own.address, own.secret if secret else None)


def _shown(loaded: Loaded, words: Mapping[str, str]) -> dict[str, Any]:
    own = loaded.state.own
    return {
        "id": loaded.id,
        "address": words.get(own.address),
        "stages": own.stages,
        "subscribed_at": own.subscribed_at,
        "active": loaded.state.active,
        "disabled": own.ended,
        "disabled_at": own.ended_at,
    }


webhooks = APIRouter()


@webhooks.post(
    TELLS,
    tags=["subscriptions"],
    status_code=204,
    responses={
        204: {"description": "Taken, as with any status from 200 to 299."},
        410: {"description": "Gone: the subscription is disabled at once."},
        "default": {"description": "Anything else, redirects too, is tried again for a day; then the subscription is disabled."},
    },
)
def stage_reached(
    body: Message,
    webhook_id: Annotated[str, Header(description="The message's id, the same at each attempt.")],
    webhook_timestamp: Annotated[str, Header(description="When this attempt was signed, in epoch seconds.")],
    webhook_signature: Annotated[str, Header(description="`v1,` and the base64 of HMAC-SHA256 of `{id}.{timestamp}.{body}`.")],
) -> None:
    """Posted to the address of each active subscription. Answer within ten seconds, and do the work afterwards.

    Messages about one complaint come in the order in which intake learned of the stages, each at least once.
    """
