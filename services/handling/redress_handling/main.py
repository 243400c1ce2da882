"""Handling, put together: `uvicorn redress_handling.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, HANDLING
from redress_handling import api
from redress_handling.domain.case import KIND
from redress_handling.permissions import PERMISSIONS
from redress_handling.work import CANCEL, OPEN

service = Service(
    "handling",
    kinds={"complaint": KIND},
    contract=HANDLING,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    work=[OPEN, CANCEL],
    queries=api.QUERIES,
    routes=[api.router],
    fold=3,
)
app = service.app()
