"""The front door over HTTP: register a complaint, ask for its state, and add the customer's later words."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path
from pydantic import AfterValidator

from redress_chassis import Commands, Cursor, Limit, Permitted, SubjectId, problems
from redress_chassis.api.validation import Flaw
from redress_chassis.edge.problems import Problem, invalid
from redress_events.contracts.intake import EarlierComplaint
from redress_events.event import Event
from redress_intake.bodies import ChaseBody, RegisterBody, SearchBody, SupplementBody, WithdrawBody
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.history import SAID, STAGES
from redress_intake.domain.limits import Limits
from redress_intake.domain.lists import COMPLAINTS
from redress_intake.domain.number import parse_number
from redress_intake.domain.register import Implausible, Register, register
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_intake.first_answer import first_answer, language_of
from redress_intake.views import (
    ComplaintView,
    FoundPage,
    FoundView,
    PendingPage,
    PendingView,
    RegisteredView,
    SaidAnswer,
    SaidPage,
    SaidView,
    StagePage,
    in_order,
    path_of,
    references,
    references_said,
)
from redress_spine.aggregate import Context
from redress_spine.store.errors import Unknown
from redress_spine.store.states import Loaded, Query

router = APIRouter(tags=["complaints"])

BY_NUMBER = Query(name="by-number", where="number = $1", order="registered_at", index="complaints_number", table=COMPLAINTS)
PENDING = Query(name="pending", where="open_since IS NOT NULL", order="open_since", index="complaints_open", table=COMPLAINTS)
FIRST_ANSWER = first_answer()
NO_WORDS, NO_REASON = ChaseBody(), WithdrawBody()
UUID_LENGTH = 36  # characters; a number has 13

Number = Annotated[str, Path(max_length=40, description="As it is written or said, in small letters too."), AfterValidator(parse_number)]
Language = Annotated[str | None, Header(alias="Accept-Language", description="en or zh")]


@router.post("/complaints", status_code=201, response_model_exclude_none=True, responses=problems(409))
async def register_complaint(body: RegisterBody, commands: Permitted[Complaint], accept_language: Language = None) -> RegisteredView:
    """Take down a complaint. The answer has its number, and what happens next and by when."""
    command = Register(**body.model_dump(exclude={"refers_to"}), refers_to=await _earlier(commands, body.refers_to))

    def decide(context: Context) -> list[Event]:
        try:
            return register(command, context)
        except Implausible as error:
            raise invalid([Flaw(f"/{error.field}", error.message, "out-of-range")]) from None

    loaded = await commands.create(decide)
    commands.created(path_of(loaded))
    return RegisteredView.of(loaded, FIRST_ANSWER, language_of(accept_language))


@router.get("/pending", response_model_exclude_none=True)
async def list_next_steps(commands: Permitted[Complaint], limit: Limit = 50, cursor: Cursor = None) -> PendingPage:
    """Every open complaint, oldest first, and who has its next step."""
    page = await commands.page(PENDING, limit=limit, cursor=cursor)
    return PendingPage(items=[view for loaded in page.items if (view := PendingView.of(loaded))], next=page.next)


@router.post("/complaints/search", response_model_exclude_none=True, responses=problems(400))
async def search_complaints(body: SearchBody, commands: Permitted[Complaint]) -> FoundPage:
    """A customer's complaints by the number that they gave, the newest first. The number is in the body, for addresses are logged."""
    name, text = ("phone", body.phone) if body.phone is not None else ("service_number", body.service_number or "")
    page = await commands.found(name, text, limit=body.limit, cursor=body.cursor)
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


@router.post("/complaints/{complaint}/supplements", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def supplement_complaint(complaint: SubjectId, body: SupplementBody, commands: Permitted[Complaint]) -> SaidAnswer:
    """The customer adds something."""
    decider = partial(supplement, limits=_limits(commands))
    return await _said(commands, complaint, Supplement(body.text, body.attachments), decider, append=True)


@router.post("/complaints/{complaint}/chases", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def chase_complaint(complaint: SubjectId, commands: Permitted[Complaint], body: ChaseBody = NO_WORDS) -> SaidAnswer:
    """The customer asks where it stays."""
    return await _said(commands, complaint, Chase(body.text), partial(chase, limits=_limits(commands)), append=True)


@router.post("/complaints/{complaint}/withdrawal", response_model_exclude_none=True, responses=problems(404, 409, 412))
async def withdraw_complaint(complaint: SubjectId, commands: Permitted[Complaint], body: WithdrawBody = NO_REASON) -> SaidAnswer:
    """The customer wishes to end it. It ends when callback answers the wish; to wish it again meanwhile changes nothing."""
    return await _said(commands, complaint, Withdraw(body.reason), withdraw)


async def _said(commands: Commands[Complaint], complaint: SubjectId, command: Any, decider: Any, append: bool = False) -> SaidAnswer:
    """The customer's words are taken down even while the complaint is parked: they need nothing of what others said."""
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


def _limits(commands: Commands[Complaint]) -> Limits:
    return Limits(commands.settings.max_words, commands.settings.max_attachments)


async def _shown(commands: Commands[Complaint], loaded: Loaded) -> ComplaintView:
    history, shown = await commands.latest(loaded, STAGES, SAID), commands.shown(loaded)
    words = await commands.words(loaded, *references(loaded.state, shown), *references_said(history[SAID].entries, shown))
    return ComplaintView.of(loaded, shown, history, words)
