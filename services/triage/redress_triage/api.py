"""Triage over HTTP: how a complaint was classified and why, a person's correction, and the queue of what a person must decide."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from redress_chassis import Cursor, Limit, Permitted, SubjectId, problems
from redress_triage.bodies import ReclassificationBody, RoutingBody
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.reclassify import reclassify
from redress_triage.domain.reroute import reroute
from redress_triage.queries import REVIEWS
from redress_triage.views import ClassificationView, ReviewPage, ReviewView, TaxonomyView, references

router = APIRouter(tags=["triage"])


@router.get("/complaints/{complaint}/classification", responses=problems(404))
async def read_classification(complaint: SubjectId, call: Permitted[Complaint]) -> ClassificationView:
    """How the complaint was classified, by whom, by which words, and where it stands."""
    seen = await call.read(complaint)
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.post("/complaints/{complaint}/reclassification", responses=problems(404, 409, 412))
async def reclassify_complaint(complaint: SubjectId, body: ReclassificationBody, call: Permitted[Complaint]) -> ClassificationView:
    """Classify the complaint, or confirm what the rules proposed. It moves to another department where the routing table says so."""
    seen = await call.decide(complaint, body.command(call.policies), partial(reclassify, rules=call.policies))
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.post("/complaints/{complaint}/routing", responses=problems(404, 409, 412))
async def reroute_complaint(complaint: SubjectId, body: RoutingBody, call: Permitted[Complaint]) -> ClassificationView:
    """Route the complaint to another department or queue."""
    seen = await call.decide(complaint, body.command(call.policies), reroute)
    return ClassificationView.of(seen, await call.words(seen, *references(seen.state)))


@router.get("/reviews")
async def list_reviews(call: Permitted[Complaint], limit: Limit = 50, cursor: Cursor = None) -> ReviewPage:
    """What a person must decide because the rules were not sure enough, the longest waiting first."""
    page = await call.page(REVIEWS, limit=limit, cursor=cursor)
    items = [
        ReviewView.of(seen, since, await call.words(seen, seen.state.observed.text) if "words" in call.shown(seen) else {})
        for seen in page.items
        if (since := seen.state.own.review_since)  # none: decided while the page was read
    ]
    return ReviewPage(items=items, next=page.next)


@router.get("/taxonomy")
async def read_taxonomy(call: Permitted[Complaint]) -> TaxonomyView:
    """The categories and sub-categories in force, and the departments with their queues, with their names."""
    return TaxonomyView.of(call.policies)
