"""Triage over HTTP: what a complaint was taken for and why, a person's correction, and the queue of what a person must decide."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends

from redress_chassis import Call, Caller, ComplaintId, Cursor, Limit, calls, problems
from redress_triage.bodies import ReclassificationBody, RoutingBody
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.reclassify import Reclassify, reclassify
from redress_triage.domain.reroute import Reroute, reroute
from redress_triage.views import ClassificationView, ReviewPage, ReviewView, TaxonomyView, references
from redress_triage.work import REVIEWS, RULES

router = APIRouter()

# Operations watch the queue without reading what customers wrote. Who has several roles acts in the first of these.
Deciding = Annotated[Call[Complaint], Depends(calls("supervisor", "agent"))]
Reading = Annotated[Call[Complaint], Depends(calls("supervisor", "agent", "handler"))]
Watching = Annotated[Call[Complaint], Depends(calls("supervisor", "agent", "ops"))]
Everybody = Annotated[Call[Complaint], Depends(calls("front-end", "agent", "handler", "supervisor", "ops", "bi"))]


def may_read(complaint: Complaint, caller: Caller) -> bool:
    """A handler sees what lies with his department."""
    return caller.role != "handler" or (caller.department is not None and caller.department == complaint.department)


@router.get("/complaints/{complaint}/classification", responses=problems(404))
async def read_classification(complaint: ComplaintId, call: Reading) -> ClassificationView:
    """What the complaint was taken for, by whom, on which words, and where it stands."""
    seen = await call.read(complaint, may=may_read)
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.post("/complaints/{complaint}/reclassification", responses=problems(404, 409, 412))
async def reclassify_complaint(complaint: ComplaintId, body: ReclassificationBody, call: Deciding) -> ClassificationView:
    """Say what it is, or confirm what the rules proposed. It moves to another department where the routing table says so."""
    seen = await call.decide(complaint, Reclassify(**body.model_dump()), partial(reclassify, rules=RULES))
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.post("/complaints/{complaint}/routing", responses=problems(404, 409, 412))
async def reroute_complaint(complaint: ComplaintId, body: RoutingBody, call: Deciding) -> ClassificationView:
    """Send it to another department or queue."""
    seen = await call.decide(complaint, Reroute(**body.model_dump()), reroute)
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.get("/reviews")
async def list_reviews(call: Watching, limit: Limit = 50, cursor: Cursor = None) -> ReviewPage:
    """What a person must decide because the rules were not sure enough, the longest waiting first."""
    page = await call.page(REVIEWS, limit=limit, cursor=cursor)
    reads = call.caller.role != "ops"
    items = [
        ReviewView.of(seen, since, await call.words(seen, seen.state.heard.text) if reads else {})
        for seen in page.items
        if (since := seen.state.done.review_since)  # none: decided while the page was read
    ]
    return ReviewPage(items=items, next=page.next)


@router.get("/taxonomy")
async def read_taxonomy(call: Everybody) -> TaxonomyView:
    """The categories and sub-categories in force, and the departments with their queues, with their names."""
    return TaxonomyView.of(RULES)
