"""Has this replica anything to do at this instant: for whoever moves the stepping clock. (`redress clock`)

Without a token, like /metrics: it tells numbers and the types of errors, and where the wall clock is used it is not there at all.
"""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from redress_chassis.edge.problems import not_found
from redress_spine.processing.clock import SteppingClock
from redress_spine.store.engine import Engine, Idle

PATH = "/idle"
ANSWER = TypeAdapter(Idle)
router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def idle(request: Request) -> Response:
    """Quiet means: two successive rounds over all replicas with nothing to do, and the same counters in both."""
    engine = cast(Engine, request.app.state.serving.engine)
    if not isinstance(engine.clock, SteppingClock):
        raise not_found()
    return Response(ANSWER.dump_json(await engine.idle()), media_type="application/json")
