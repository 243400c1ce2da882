"""What operators do to a running service: look at parked subjects and set-aside records, redrive them, or pass one by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from fastapi import APIRouter, Request

from redress_chassis.api.bodies import Body, ComplaintId, Words
from redress_chassis.api.commands import Permitted
from redress_chassis.api.openapi import problems
from redress_chassis.auth.permissions import ANYTHING, Roles
from redress_chassis.edge.problems import not_found
from redress_spine.processing.parking import NotParked, Redriven
from redress_spine.store.engine import Engine

router = APIRouter(prefix="/ops", tags=["operations"])
OPERATORS: Roles = {"ops": ANYTHING}
OPERATIONS: Mapping[str, Roles] = {
    "GET /ops/parked": OPERATORS,
    "POST /ops/parked/{complaint}/redrive": OPERATORS,
    "POST /ops/parked/{complaint}/skip": OPERATORS,
}


class SkipBody(Body):
    """Why the record may be passed over. It is kept for ever."""

    why: Words


@router.get("/parked")
async def list_parked(request: Request, call: Permitted[Any]) -> dict[str, Any]:
    """Parked subjects with the record that each stumbled over, and records that belong to no subject; the newest 200 of each."""
    parked, dead_letters = await _engine(request).parked()
    return {"parked": [asdict(each) for each in parked], "dead_letters": [asdict(each) for each in dead_letters]}


@router.post("/parked/{complaint}/redrive", responses=problems(404))
async def redrive_parked(request: Request, complaint: ComplaintId, call: Permitted[Any]) -> Redriven:
    """Fold the parked records in their order, once the cause is gone."""
    try:
        return await _engine(request).redrive(f"complaint/{complaint}")
    except NotParked:
        raise not_found() from None


@router.post("/parked/{complaint}/skip", responses=problems(404))
async def skip_parked(request: Request, complaint: ComplaintId, body: SkipBody, call: Permitted[Any]) -> Redriven:
    """Pass over the first parked record for ever, and redrive the rest."""
    try:
        return await _engine(request).skip(f"complaint/{complaint}", call.actor, body.why)
    except NotParked:
        raise not_found() from None


def _engine(request: Request) -> Engine:
    return cast(Engine, request.app.state.serving.engine)
