"""The front door over HTTP: register a complaint, ask for its state, add the customer's later words, and be told of stages.

Long, for all that a front end may call is read in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path
from fastapi import Query as Parameter
from pydantic import AfterValidator

from redress_chassis import Commands, Cursor, Form, Limit, Moment, Permitted, SubjectId, problems
from redress_chassis.api.streams import EventStream, LastEventId
from redress_chassis.api.validation import Flaw
from redress_chassis.edge.outbound import Forbidden, Unresolved, checked, parse
from redress_chassis.edge.problems import Problem, invalid
from redress_events.contracts.intake import EarlierComplaint
from redress_events.event import Event
from redress_events.vocabulary import Channel
from redress_intake.bodies import (
    ChaseBody,
    ExternalId,
    ForgetBody,
    RegisterBody,
    SearchBody,
    SubscriptionBody,
    SupplementBody,
    WithdrawBody,
)
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.enable import Enable, enable
from redress_intake.domain.first_answer import language_of
from redress_intake.domain.forget import Forget, forget
from redress_intake.domain.history import SAID, STAGES
from redress_intake.domain.limits import Limits
from redress_intake.domain.number import parse_number
from redress_intake.domain.observed import StageName
from redress_intake.domain.own import Own
from redress_intake.domain.register import Implausible, Register, external_id_of, is_same, register
from redress_intake.domain.subscribe import Subscribe, subscribe
from redress_intake.domain.subscription import TOLD_STAGES, Subscription
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.domain.unsubscribe import Unsubscribe, unsubscribe
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_intake.queries import BY_NUMBER, OPEN_ONES, OWN, PENDING, received
from redress_intake.reactors import NAME
from redress_intake.signatures import new_secret
from redress_intake.telling import TELLS
from redress_intake.views import (
    AGE_BOUNDS,
    CatalogueView,
    ComplaintView,
    DeliveryPage,
    DeliveryView,
    ForgottenView,
    FoundPage,
    FoundView,
    Message,
    NewSubscriptionView,
    OpenCountsView,
    PendingPage,
    PendingView,
    RegisteredView,
    SaidAnswer,
    SaidPage,
    SaidView,
    StagePage,
    StageView,
    SubscriptionPage,
    SubscriptionView,
    in_order,
    path_of,
    references,
    references_said,
)
from redress_spine.aggregate import CommandRejected, Context
from redress_spine.store.errors import Unknown
from redress_spine.store.states import Loaded

router = APIRouter(tags=["complaints"])
statistics = APIRouter(tags=["statistics"])
subscriptions = APIRouter(tags=["subscriptions"])
webhooks = APIRouter(tags=["subscriptions"])

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until you leave, at most for 15 minutes. Come again with `Last-Event-ID`.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: stage\ndata: {"stage":"routed","at":"2026-03-02T08:15:04.120000Z"}\nid: triage:2\n\n',
            }
        },
    }
}
NO_WORDS, NO_REASON = ChaseBody(), WithdrawBody()
MOST_SUBSCRIPTIONS = 20  # of one front end: a program that subscribes at each start is told so before it is told everything twenty times
UUID_LENGTH = 36  # characters; a number has 13

Number = Annotated[
    str, Path(max_length=40, description="As it is written or said, in small letters or full width too."), AfterValidator(parse_number)
]
SubscriptionId = Annotated[UUID, Path(description="The subscription's id, as making it answered.")]
DeliveryId = Annotated[
    str,
    Form("^msg_[0-9a-f]{32}$", "Write the message's id: msg_ and 32 digits and small letters a to f."),
    Path(description="The message's id: its header `webhook-id`."),
]
ListedState = Literal["open"] | StageName
ReceivedFrom = Annotated[Moment | None, Parameter(description="Only those received at this time or later.")]
ReceivedTo = Annotated[Moment | None, Parameter(description="Only those received before this time.")]
OwnId = Annotated[ExternalId | None, Parameter(description="Your own id, as you sent it with the registration.")]
LanguageHeader = Annotated[str | None, Header(alias="Accept-Language", description="en or zh")]


@router.post("/complaints", status_code=201, response_model_exclude_none=True, responses=problems(409))
async def register_complaint(body: RegisterBody, commands: Permitted[Complaint], accept_language: LanguageHeader = None) -> RegisteredView:
    """Register a complaint. The answer has its number, and what happens next and by when."""
    command = body.command(await _earlier(commands, body.refers_to))

    def decide(context: Context) -> list[Event]:
        commands.expect_channel(body.channel)
        try:
            return register(command, context, catalogue=commands.policies.catalogue)
        except Implausible as error:
            raise invalid([Flaw(f"/{error.field}", error.message, "out-of-range")]) from None

    loaded = await commands.create(decide, first=partial(_first, commands, command))
    commands.created(path_of(loaded))
    return RegisteredView.of(loaded, commands.policies.first_answer, language_of(accept_language), phone=body.phone)


@router.get("/catalogue")
async def read_catalogue(commands: Permitted[Complaint]) -> CatalogueView:
    """The operator's products and areas, with their names. What else they are called is understood too."""
    return CatalogueView.of(commands.policies.catalogue)


@router.get("/complaints", response_model_exclude_none=True, responses=problems(400))
async def list_complaints(
    commands: Permitted[Complaint],
    channel: Channel | None = None,
    state: ListedState | None = None,
    received_from: ReceivedFrom = None,
    received_to: ReceivedTo = None,
    external_id: OwnId = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FoundPage:
    """The complaints that match the filters, the newest first. A customer's numbers are searched for in a body."""
    if external_id is None:
        query, args = received(channel, state, received_from, received_to)
        page = await commands.page(query, *args, channel=channel, limit=limit, cursor=cursor)
    elif channel or state or received_from or received_to:
        raise invalid([Flaw("/external_id", "Ask by external_id alone: it finds at most one complaint.", "alone", "query")])
    else:
        page = await commands.found("external_id", external_id_of(commands.caller.sub, external_id), limit=limit, cursor=cursor)
    return FoundPage(items=[FoundView.of(loaded) for loaded in page.items], next=page.next)


@router.get("/pending", response_model_exclude_none=True)
async def list_next_steps(commands: Permitted[Complaint], limit: Limit = 50, cursor: Cursor = None) -> PendingPage:
    """Every open complaint, oldest first, and who has its next step."""
    page, now = await commands.page(PENDING, limit=limit, cursor=cursor), commands.now
    return PendingPage(items=[view for loaded in page.items if (view := PendingView.of(loaded, now))], next=page.next)


@statistics.get("/statistics/open")
async def count_open_complaints(commands: Permitted[Complaint]) -> OpenCountsView:
    """How many complaints are open, by stage, department, category and age."""
    at, groups = await commands.grouped(OPEN_ONES, AGE_BOUNDS)
    return OpenCountsView.of(groups, at)


@router.post("/complaints/search", response_model_exclude_none=True, responses=problems(400))
async def search_complaints(body: SearchBody, commands: Permitted[Complaint]) -> FoundPage:
    """A customer's complaints by the number that they gave, the newest first. The number is in the body, for addresses are logged."""
    page = await commands.found(*body.asked, limit=body.limit, cursor=body.cursor)
    return FoundPage(items=[FoundView.of(loaded) for loaded in page.items], next=page.next)


@router.get("/complaints/{complaint}", response_model_exclude_none=True, responses=problems(404))
async def read_complaint(complaint: SubjectId, commands: Permitted[Complaint]) -> ComplaintView:
    """Where it stands, and the latest steps of the way there."""
    return await _shown(commands, await commands.read(complaint))


@router.get("/complaints/by-number/{number}", response_model_exclude_none=True, responses=problems(404))
async def read_complaint_by_number(number: Number, commands: Permitted[Complaint]) -> ComplaintView:
    """The same, by the number that the customer has."""
    return await _shown(commands, await commands.find(BY_NUMBER, number))


@router.get("/complaints/{complaint}/said", response_model_exclude_none=True, responses=problems(400, 404))
async def list_said(complaint: SubjectId, commands: Permitted[Complaint], limit: Limit = 50, cursor: Cursor = None) -> SaidPage:
    """All that the customer said later, the latest first. Chases without words are only counted."""
    loaded = await commands.read(complaint)
    page = await commands.entries(loaded, SAID, limit=limit, cursor=cursor)
    words = await commands.words(loaded, *references_said(page.items, commands.shown(loaded)))
    return SaidPage(items=[SaidView.of(entry, words) for entry in page.items], next=page.next)


@router.get("/complaints/{complaint}/stages", response_model_exclude_none=True, responses=problems(400, 404))
async def list_stages(complaint: SubjectId, commands: Permitted[Complaint], limit: Limit = 50, cursor: Cursor = None) -> StagePage:
    """All stages since the registration, the latest first."""
    loaded = await commands.read(complaint)
    page = await commands.entries(loaded, STAGES, limit=limit, cursor=cursor)
    return StagePage(items=in_order(page.items), next=page.next)


@router.get("/complaints/{complaint}/stages/stream", status_code=200, response_class=EventStream, responses=STREAM | problems(400, 404))
async def follow_stages(complaint: SubjectId, commands: Permitted[Complaint], last_event_id: LastEventId = None) -> EventStream:
    """Each stage as it is reached, as server-sent events `stage`; the data of each is a stage as in the list. For a page that shows it."""
    return commands.follow(await commands.read(complaint), STAGES, last_event_id, event="stage", view=StageView.of)


@router.post("/complaints/{complaint}/supplements", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def supplement_complaint(complaint: SubjectId, body: SupplementBody, commands: Permitted[Complaint]) -> SaidAnswer:
    """The customer adds something."""
    decider = partial(supplement, limits=_limits(commands))
    return await _said(commands, complaint, Supplement(body.text, body.attachments), decider, append=True)


@router.post("/complaints/{complaint}/chases", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def chase_complaint(complaint: SubjectId, commands: Permitted[Complaint], body: ChaseBody = NO_WORDS) -> SaidAnswer:
    """The customer asks for an update."""
    return await _said(commands, complaint, Chase(body.text), partial(chase, limits=_limits(commands)), append=True)


@router.post("/complaints/{complaint}/withdrawal", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def withdraw_complaint(complaint: SubjectId, commands: Permitted[Complaint], body: WithdrawBody = NO_REASON) -> SaidAnswer:
    """The customer wishes to end it. It ends when callback answers the wish; to wish it again meanwhile changes nothing."""
    return await _said(commands, complaint, Withdraw(body.reason), withdraw)


@router.post("/complaints/{complaint}/forgetting", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def forget_complaint(complaint: SubjectId, body: ForgetBody, commands: Permitted[Complaint]) -> ForgottenView:
    """Make all that the customer gave and said unreadable in every service, for ever. Only of what is closed."""
    command = Forget(body.asked_by, body.reason, commands.proof_of_forgetting(complaint))
    return ForgottenView.of(await commands.decide(complaint, command, forget))


@subscriptions.post("/subscriptions", status_code=201, response_model_exclude_none=True, responses=problems(409))
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
    return NewSubscriptionView.of(loaded, words)


@subscriptions.get("/subscriptions", response_model_exclude_none=True, responses=problems(400))
async def list_subscriptions(commands: Permitted[Subscription], limit: Limit = 50, cursor: Cursor = None) -> SubscriptionPage:
    """Your subscriptions, those too that were disabled."""
    page = await commands.page(OWN, limit=limit, cursor=cursor)
    return SubscriptionPage(items=[SubscriptionView.of(loaded, await _words(commands, loaded)) for loaded in page.items], next=page.next)


@subscriptions.get("/subscriptions/{subscription}", response_model_exclude_none=True, responses=problems(404))
async def read_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> SubscriptionView:
    """One of your subscriptions."""
    loaded = await _seen(commands, subscription)
    return SubscriptionView.of(loaded, await _words(commands, loaded))


@subscriptions.delete("/subscriptions/{subscription}", status_code=204, responses=problems(404, 412))
async def delete_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> None:
    """Be told no more, not even what waits."""
    await commands.decide(subscription, Unsubscribe(), unsubscribe, kind="subscription")


@subscriptions.post("/subscriptions/{subscription}/enable", response_model_exclude_none=True, responses=problems(404, 412))
async def enable_subscription(subscription: SubscriptionId, commands: Permitted[Subscription]) -> SubscriptionView:
    """Be told again, after it was disabled, of what is reached from now on. What was reached meanwhile is not told."""
    loaded = await commands.decide(subscription, Enable(), enable, kind="subscription")
    return SubscriptionView.of(loaded, await _words(commands, loaded))


@subscriptions.get("/subscriptions/{subscription}/deliveries", response_model_exclude_none=True, responses=problems(400, 404))
async def list_deliveries(
    subscription: SubscriptionId, commands: Permitted[Subscription], limit: Limit = 50, cursor: Cursor = None
) -> DeliveryPage:
    """What was delivered, or waits, the latest first. What was delivered is kept for 30 days."""
    page = await commands.effects(await _seen(commands, subscription), NAME, limit=limit, cursor=cursor)
    return DeliveryPage(items=[DeliveryView.of(shown) for shown in page.items], next=page.next)


@subscriptions.post(
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


@webhooks.post(
    TELLS,
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


async def _said(commands: Commands[Complaint], complaint: SubjectId, command: Any, decider: Any, append: bool = False) -> SaidAnswer:
    """The customer's words are registered even while the complaint is parked: they need nothing of what others said."""
    return SaidAnswer.of(await commands.decide(complaint, command, decider, while_parked=True, append=append))


async def _earlier(commands: Commands[Complaint], told: str | None) -> EarlierComplaint | None:
    """The complaint with this number or id."""
    if told is None:
        return None
    try:
        loaded = await (commands.read(UUID(told)) if len(told) == UUID_LENGTH else commands.find(BY_NUMBER, told))
    except (Problem, Unknown):
        raise invalid([Flaw("/refers_to", "There is no complaint with this number or id.", "unknown-complaint")]) from None
    return EarlierComplaint(complaint=str(loaded.id), number=loaded.state.own.number)


async def _first(commands: Commands[Complaint], command: Register) -> Loaded | None:
    """The complaint that the caller registered under this external id, if there is one. Raises a 409 where it says something else."""
    if command.external_id is None:
        return None
    found = await commands.holder("external_id", external_id_of(commands.caller.sub, command.external_id))
    if found is None:
        return None
    own: Own = found.state.own
    if not is_same(command, own, await commands.compared(found, own.personal.values()), commands.actor):
        message = f"You registered {own.number} with this external_id and other content. Add to that complaint, or choose another id."
        raise CommandRejected("external-id-taken", message)
    return found


def _limits(commands: Commands[Complaint]) -> Limits:
    return Limits(commands.settings.max_words, commands.settings.max_attachments)


async def _shown(commands: Commands[Complaint], loaded: Loaded) -> ComplaintView:
    history, shown = await commands.latest(loaded, STAGES, SAID), commands.shown(loaded)
    words = await commands.words(loaded, *references(loaded.state, shown), *references_said(history[SAID].entries, shown))
    return ComplaintView.of(loaded, shown, history, words)


async def _refusal(body: SubscriptionBody, commands: Commands[Subscription]) -> Exception | None:
    local = commands.settings.profile == "local"
    try:
        await checked(parse(body.address, local=local), local=local)
    except Forbidden as error:
        return invalid([Flaw("/address", error.message, error.code)])
    except Unresolved:
        return invalid([Flaw("/address", "The host's name has no address.", "unknown-host")])
    if len((await commands.page(OWN, limit=MOST_SUBSCRIPTIONS)).items) >= MOST_SUBSCRIPTIONS:
        return CommandRejected("too-many-subscriptions", f"You have {MOST_SUBSCRIPTIONS} subscriptions. Delete one first.")
    return None


async def _seen(commands: Commands[Subscription], subscription: UUID) -> Loaded:
    return await commands.read(subscription, kind="subscription")


async def _words(commands: Commands[Subscription], loaded: Loaded, secret: bool = False) -> Mapping[str, str]:
    own = loaded.state.own
    return await commands.words(loaded, own.address, own.secret if secret else None)
