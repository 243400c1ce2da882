"""Return visits over HTTP: who is to be called, what the call needs, and what came of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field, model_validator

from redress_callback.automations import POLICY
from redress_callback.domain.attempt import Attempt, attempt
from redress_callback.domain.history import NOTES, SAID
from redress_callback.domain.lists import VISITS
from redress_callback.domain.own import Answer
from redress_callback.domain.visit import Visit
from redress_callback.views import NotePage, NoteView, VisitPage, VisitSummary, VisitView, references, references_in
from redress_chassis import Body, Cursor, Limit, Permitted, SubjectId, Words, problems
from redress_spine.store.states import Query

TO_VISIT = Query("visits", where="to_call IS NOT NULL", order="to_call", index="visits_to_call", table=VISITS)
QUERIES = [TO_VISIT]

router = APIRouter(tags=["visits"])


class AttemptBody(Body):
    """reached: somebody spoke with the customer; then `solved` and `satisfaction`, 1 (very dissatisfied) to 5 (very satisfied), are what he
    said."""

    reached: bool
    solved: bool | None = None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None
    words: Words | None = None
    note: Words | None = None

    @model_validator(mode="after")
    def _answered_if_reached(self) -> Self:
        if self.reached and (self.solved is None or self.satisfaction is None):
            raise ValueError("Whoever was reached says whether it is solved, and how satisfied he is: solved and satisfaction.")
        if not self.reached and any(value is not None for value in (self.solved, self.satisfaction, self.words)):
            raise ValueError("Whoever was not reached said nothing: leave out solved, satisfaction and words.")
        return self

    def command(self) -> Attempt:
        if self.solved is None or self.satisfaction is None:
            return Attempt(note=self.note)
        return Attempt(Answer(self.solved, self.satisfaction, self.words), self.note)


@router.get("/visits", responses=problems(400))
async def list_visits(call: Permitted[Visit], limit: Limit = 50, cursor: Cursor = None) -> VisitPage:
    """Customers to be called: first whoever said something since, then the longest overdue."""
    page = await call.page(TO_VISIT, limit=limit, cursor=cursor)
    return VisitPage(items=[VisitSummary.of(seen) for seen in page.items], next=page.next)


@router.get("/visits/{complaint}", responses=problems(404))
async def read_visit(complaint: SubjectId, call: Permitted[Visit]) -> VisitView:
    """The visit of one complaint; while it is due, with what the call needs."""
    seen = await call.read(complaint)
    history = await call.latest(seen, NOTES, SAID)
    return VisitView.with_history(seen, history, await call.words(seen, *references(seen.state, history)))


@router.get("/visits/{complaint}/notes", responses=problems(400, 404))
async def list_notes(complaint: SubjectId, call: Permitted[Visit], limit: Limit = 50, cursor: Cursor = None) -> NotePage:
    """All notes of all attempts, the latest first; their words while a visit is due."""
    seen = await call.read(complaint)
    page = await call.entries(seen, NOTES, limit=limit, cursor=cursor)
    opened = await call.words(seen, *references_in(seen.state, page.items))
    return NotePage(items=[NoteView.of(note, opened) for note in page.items], next=page.next)


@router.post("/visits/{complaint}/attempts", responses=problems(404, 409, 412))
async def record_attempt(complaint: SubjectId, body: AttemptBody, call: Permitted[Visit]) -> VisitSummary:
    """Say whether the customer was reached and what he said. Satisfied: closed. Not satisfied: back to the department, more urgent."""
    return VisitSummary.of(await call.decide(complaint, body.command(), partial(attempt, policy=POLICY)))
