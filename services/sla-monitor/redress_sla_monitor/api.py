"""Deadlines over HTTP: the clocks of a complaint with their explanation, and what is due and what is late."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Query as Parameter

from redress_chassis import Cursor, Limit, Moment, Permitted, SubjectId, problems
from redress_events.event import micros
from redress_sla_monitor.domain.watch import Watch
from redress_sla_monitor.queries import DUE, LATE
from redress_sla_monitor.views import ClocksView, WaitingPage, WaitingView, Which

router = APIRouter(tags=["deadlines"])
WhichDeadlines = Annotated[Which, Parameter(alias="state", description="due: the deadline is ahead. late: breached, and still running.")]
Before = Annotated[Moment | None, Parameter(description="Only deadlines before this time.")]


def clock(request: Request) -> datetime:
    """Now, by the service's clock."""
    now: datetime = request.app.state.serving.engine.clock()
    return now


Now = Annotated[datetime, Depends(clock)]


@router.get("/complaints/{complaint}/clocks", responses=problems(404))
async def list_clocks(complaint: SubjectId, call: Permitted[Watch], now: Now) -> ClocksView:
    """Every clock of the complaint: its deadline, its state, the time left, and day by day how the deadline was computed."""
    return ClocksView.of(await call.read(complaint), now, call.policies.calendars)


@router.get("/deadlines")
async def list_deadlines(
    which: WhichDeadlines, call: Permitted[Watch], now: Now, before: Before = None, limit: Limit = 50, cursor: Cursor = None
) -> WaitingPage:
    """Complaints whose deadlines are due, or late, the earliest first."""
    page = await call.page(DUE if which == "due" else LATE, [micros(before)] if before else [], limit=limit, cursor=cursor)
    return WaitingPage(items=[view for seen in page.items if (view := WaitingView.of(seen, which, now))], next=page.next)
