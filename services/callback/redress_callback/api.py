"""Return visits over HTTP: who is to be called, what the call needs, and what came of it."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from redress_callback.bodies import AttemptBody
from redress_callback.domain.attempt import attempt
from redress_callback.domain.history import NOTES, SAID
from redress_callback.domain.visit import Visit
from redress_callback.queries import TO_VISIT
from redress_callback.views import NotePage, NoteView, VisitPage, VisitSummary, VisitView, references, references_in
from redress_chassis import Cursor, Limit, Permitted, SubjectId, problems

router = APIRouter(tags=["visits"])


@router.get("/visits", responses=problems(400))
async def list_visits(call: Permitted[Visit], limit: Limit = 50, cursor: Cursor = None) -> VisitPage:
    """Customers to call: first those who said something since, then the longest overdue."""
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
    """Record whether the customer was reached and what they said. Satisfied: closed. Not satisfied: back to the department, more urgent."""
    return VisitSummary.of(await call.decide(complaint, body.command(), partial(attempt, policy=call.policies)))
