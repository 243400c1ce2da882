"""Template over HTTP: what it knows of a complaint."""

from __future__ import annotations

from fastapi import APIRouter

from redress_chassis import Permitted, SubjectId, problems
from redress_template.domain.complaint import Complaint
from redress_template.views import ComplaintView

router = APIRouter(tags=["template"])


@router.get("/complaints/{complaint}", responses=problems(404))
async def read_complaint_in_template(complaint: SubjectId, call: Permitted[Complaint]) -> ComplaintView:
    """What is known here of one complaint."""
    return ComplaintView.of(await call.read(complaint))
