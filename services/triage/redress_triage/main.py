"""Triage put together: uvicorn redress_triage.main:app"""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, TRIAGE
from redress_triage import api
from redress_triage.domain.complaint import KIND
from redress_triage.permissions import PERMISSIONS
from redress_triage.work import CLASSIFY, REVIEWS

service = Service(
    "triage",
    kinds={"complaint": KIND},
    contract=TRIAGE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    work=[CLASSIFY],
    queries=[REVIEWS],
    routes=[api.router],
    fold=2,
)
app = service.app()
