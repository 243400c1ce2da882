"""Triage put together: uvicorn redress_triage.main:app"""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, TRIAGE
from redress_triage import api
from redress_triage.automations import CLASSIFY, REVIEWS
from redress_triage.domain.complaint import AGGREGATE
from redress_triage.permissions import PERMISSIONS

service = Service(
    "triage",
    aggregates={"complaint": AGGREGATE},
    contract=TRIAGE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    automations=[CLASSIFY],
    queries=[REVIEWS],
    routes=[api.router],
    fold=3,
)
app = service.app()
