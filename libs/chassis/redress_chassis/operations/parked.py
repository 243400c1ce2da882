"""What operators do to a running service: look at records that are parked or set aside, redrive them or pass them by; retry effects; and
read the log where they cannot reach Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Request
from fastapi import Query as Parameter
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from redress_chassis.api.bodies import Body, Form, Short, Words
from redress_chassis.api.commands import Permitted
from redress_chassis.api.openapi import problems
from redress_chassis.api.paging import MOST, Limit, bad_cursor
from redress_chassis.api.texts import line
from redress_chassis.auth.permissions import ANYTHING, Roles
from redress_chassis.edge.problems import not_found
from redress_spine.messaging.envelope import SUBJECT
from redress_spine.processing.effects import DeadEffect, NoSuchEffect
from redress_spine.processing.parking import DeadLetterEntry, NotParked, ParkedSubject, Redriven, Skipped, SkippedRecord, TakenIn
from redress_spine.processing.skips import checked_why
from redress_spine.store.engine import Engine, NoSuchPlace

router = APIRouter(prefix="/ops", tags=["operations"])
OPERATORS: Roles = {"ops": ANYTHING}
OPERATIONS: Mapping[str, Roles] = {
    "GET /ops/log": OPERATORS,
    "GET /ops/parked": OPERATORS,
    "GET /ops/record": OPERATORS,
    "POST /ops/redrive": OPERATORS,
    "POST /ops/redrive-set-aside": OPERATORS,
    "POST /ops/skips": OPERATORS,
    "GET /ops/effects": OPERATORS,
    "POST /ops/effects/{reactor}/{key}/retry": OPERATORS,
    "POST /ops/effects/{reactor}/{key}/drop": OPERATORS,
}
AT_ONCE = 50  # records or subjects that one request decides on

Name = Annotated[str, Path(max_length=200), AfterValidator(line)]
SubjectName = Annotated[str, Form(f"^{SUBJECT.pattern}$", "Write a kind and an id, like note/01981f6e-2d3c-7f4a-8b5e-6a7d8c9e0f12.")]
SubjectFilter = Annotated[SubjectName | None, Parameter(description="That subject alone: `<kind>/<id>`.")]
Place = Annotated[str, Form(r"^[^/]{0,249}/[0-9]{1,9}@[0-9]{1,18}$", "Write a topic, a partition and an offset, like topic/0@0.")]
LogPlace = Annotated[str, Form(r"^[0-9]{1,18}(\.[0-9]{1,18})*$", "Write the `next` of the page before, as it came.")]
TopicName = Annotated[str, Field(min_length=1, max_length=249), AfterValidator(line)]
Subject = Annotated[str, Field(min_length=1, max_length=250), AfterValidator(line)]
Partition = Annotated[int, Field(ge=0, lt=2**31)]
Offset = Annotated[int, Field(ge=0, lt=2**63)]
Hex = Annotated[str, Field(max_length=2_000), Form("^([0-9a-f]{2})*$", "Write pairs of digits and small letters a to f.")]


class RedriveBody(Body):
    """Which subjects, by their names, `<kind>/<id>`. dry_run: only tell what would be folded."""

    subjects: Annotated[list[Subject], Field(min_length=1, max_length=AT_ONCE)]
    dry_run: bool = False


class AsideBody(Body):
    """Which records, of one partition. dry_run: only tell which can be read now."""

    topic: TopicName
    partition: Partition
    offsets: Annotated[list[Offset], Field(min_length=1, max_length=AT_ONCE)]
    dry_run: bool = False


class RecordBody(Body):
    """A record as /ops/parked shows it, in whichever service."""

    topic: TopicName
    partition: Partition
    offset: Offset
    content: Annotated[Hex, Field(min_length=64, max_length=64)]
    hash: Hex
    event: bool


class LogPageView(Body):
    """A page of the log. events: as their envelopes have them, masked. unproved: places of records that prove no source, and why. next: for
    the following page; at_end: nothing more is there now."""

    events: list[dict[str, Any]]
    unproved: list[dict[str, Any]]
    next: str
    at_end: bool


class DropBody(Body):
    """Why the effect is never to be done. It is kept forever."""

    why: Words


class SkipBody(Body):
    """Which records, and why they may be passed over. It is kept permanently in plain text: write nothing about a customer."""

    records: Annotated[list[RecordBody], Field(min_length=1, max_length=AT_ONCE)]
    why: Annotated[Short, AfterValidator(checked_why)]


class ParkedPage(BaseModel):
    """Parked subjects with the record that each stumbled over, and records that belong to no subject."""

    parked: list[ParkedSubject]
    dead_letters: list[DeadLetterEntry]


class HeldRecordView(BaseModel):
    """A record that is parked or set aside, without personal data. Either its envelope or, where it is none, its bytes."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str | None
    key: str | None
    headers: dict[str, str]
    size: int
    value: dict[str, Any] | None = None
    bytes: str | None = None


@router.get("/log", responses=problems(400))
async def read_log(
    request: Request,
    call: Permitted[Any],
    limit: Limit = MOST,
    after: Annotated[LogPlace | None, Parameter(max_length=20_000, description="`next` of the page before.")] = None,
    since: Annotated[AwareDatetime | None, Parameter(description="Where the first page begins; without it with what comes now.")] = None,
    subject: SubjectFilter = None,
    wait: Annotated[float, Parameter(ge=0, le=20, description="Seconds to wait for an event where there is none yet.")] = 0,
) -> LogPageView:
    """Events of all services as they stand on the log, without personal data. Whoever asks again with `next` sees each of them once."""
    offsets = None if after is None else [int(each) for each in after.split(".")]
    try:
        page = await _engine(request).log(offsets, since, subject, limit, wait)
    except NoSuchPlace:
        raise bad_cursor() from None
    return LogPageView(events=page.events, unproved=page.unproved, next=".".join(map(str, page.next)), at_end=page.at_end)


@router.get("/parked")
async def list_parked(
    request: Request,
    call: Permitted[Any],
    limit: Limit = MOST,
    after: Annotated[str, Parameter(max_length=250, description="The last subject of the page before.")] = "",
    subject: SubjectFilter = None,
    aside_after: Annotated[Place | None, Parameter(description="The last one before: `topic/0@0`.")] = None,
) -> ParkedPage:
    """Parked subjects with the record that each stumbled over, by their names; and records that belong to no subject, the newest, or by
    their places behind `aside_after`."""
    parked, dead_letters = await _engine(request).parked(limit, after, subject, None if aside_after is None else _place(aside_after))
    return ParkedPage(parked=parked, dead_letters=dead_letters)


@router.get("/record", response_model_exclude_unset=True, responses=problems(404))
async def show_record(
    request: Request,
    call: Permitted[Any],
    subject: SubjectFilter = None,
    partition: Annotated[int, Parameter(ge=0, lt=2**31)] = 0,
    offset: Annotated[int, Parameter(ge=0, lt=2**63)] = 0,
    topic: Annotated[str | None, Parameter(max_length=249)] = None,
) -> HeldRecordView:
    """A record that is parked or set aside, without personal data: the one that a subject stumbled over, or the one at a place."""
    seen = await _engine(request).held(subject, None if subject else (partition, offset), topic)
    if seen is None:
        raise not_found()
    return HeldRecordView(**seen)


@router.post("/redrive")
async def redrive_parked(request: Request, body: RedriveBody, call: Permitted[Any]) -> dict[str, Redriven]:
    """Fold the parked records of these subjects in their order, once the cause is gone. One that is not parked has nothing left."""
    own = {}
    for subject in body.subjects:
        try:
            own[subject] = await _engine(request).redrive(subject, body.dry_run)
        except NotParked:
            own[subject] = Redriven(0, 0)
    return own


@router.post("/redrive-set-aside")
async def redrive_set_aside(request: Request, body: AsideBody, call: Permitted[Any]) -> TakenIn:
    """Fold records that were set aside, if this release can read them."""
    return await _engine(request).redrive_aside(body.topic, body.partition, body.offsets, body.dry_run)


@router.post("/skips")
async def skip_records(request: Request, body: SkipBody, call: Permitted[Any]) -> Skipped:
    """Permanently skip these records, with all their copies, and redrive the rest. Repeating it changes nothing."""
    records = [
        SkippedRecord(each.topic, each.partition, each.offset, bytes.fromhex(each.content), bytes.fromhex(each.hash), each.event)
        for each in body.records
    ]
    return await _engine(request).pass_over(records, call.actor, body.why)


def _place(text: str) -> tuple[str, int, int]:
    topic, _, rest = text.rpartition("/")
    partition, _, offset = rest.partition("@")
    return topic, int(partition), int(offset)


@router.get("/effects")
async def list_dead_letters(request: Request, call: Permitted[Any]) -> list[DeadEffect]:
    """Effects on other systems that were given up, with the last error of each; the newest 200."""
    return await _engine(request).dead_effects()


@router.post("/effects/{reactor}/{key}/retry", status_code=204, responses=problems(404))
async def retry_dead_letter(request: Request, reactor: Name, key: Name, call: Permitted[Any]) -> None:
    """Try a given-up effect again, from its first attempt on. The other side gets the same key as before."""
    try:
        await _engine(request).retry_effect(reactor, key)
    except NoSuchEffect:
        raise not_found() from None


@router.post("/effects/{reactor}/{key}/drop", status_code=204, responses=problems(404))
async def drop_dead_letter(request: Request, reactor: Name, key: Name, body: DropBody, call: Permitted[Any]) -> None:
    """Drop a given-up effect permanently."""
    try:
        await _engine(request).drop_effect(reactor, key, call.actor, body.why)
    except NoSuchEffect:
        raise not_found() from None


def _engine(request: Request) -> Engine:
    return cast(Engine, request.app.state.serving.engine)
