"""Handling, put together: `uvicorn redress_handling.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, HANDLING
from redress_handling import api
from redress_handling.automations import CANCEL, OPEN
from redress_handling.domain.case import AGGREGATE
from redress_handling.permissions import PERMISSIONS

service = Service(
    "handling",
    aggregates={"complaint": AGGREGATE},
    contract=HANDLING,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    automations=[OPEN, CANCEL],
    queries=api.QUERIES,
    routes=[api.router],
    fold=4,
)
app = service.app()
