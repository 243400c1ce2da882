"""Is this process alive, is it ready for calls, and what can it count: for orchestrators and Prometheus, without a token."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from redress_chassis.operations.metrics import Metrics
from redress_chassis.version import VERSION

if TYPE_CHECKING:
    from redress_spine.store.engine import Health, Measures

HEALTH = ("/health/live", "/health/ready")
METRICS = "/metrics"
PATHS = (*HEALTH, METRICS)
router = APIRouter(include_in_schema=False)


class HealthSource(Protocol):
    """What the service says of itself."""

    metrics: Metrics

    @property
    def build(self) -> str: ...

    @property
    def dying(self) -> list[str]: ...

    async def health(self) -> Health: ...

    def measures(self) -> Awaitable[Measures]: ...


@router.get("/health/live")
async def live(request: Request) -> Response:
    """Restart me if this is no 200: the start failed for good, or a loop is stuck. A server that is away is no reason to. It also says
    which release and build this is."""
    patient = _patient(request)
    release = {"version": VERSION, "build": patient.build}
    if dying := patient.dying:
        return JSONResponse({"status": "broken", "reasons": dying} | release, 503)
    return JSONResponse({"status": "live"} | release)


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Send me calls if this is a 200. Kafka may be away: commands are still carried out. alarms: what somebody must see to. cannot: what is
    not done for as long as a server is away. servers: how each answers."""
    found = await _patient(request).health()
    more = {name: told for name, told in (("alarms", found.alarms), ("cannot", found.cannot)) if told}
    servers = {"servers": {name: asdict(seen) for name, seen in found.servers.items()}} if found.servers else {}
    if found.ready:
        return JSONResponse({"status": "ready"} | more | servers)
    return JSONResponse({"status": "not-ready", "reasons": found.reasons or ["not ready"]} | more | servers, 503)


@router.get(METRICS)
async def metrics(request: Request) -> Response:
    patient = _patient(request)
    return await patient.metrics.page(patient.measures)


def _patient(request: Request) -> HealthSource:
    patient: HealthSource = request.app.state.serving
    return patient
