"""Callback, put together: `uvicorn redress_callback.main:app`."""

from redress_callback import api
from redress_callback.automations import AUTOMATIONS
from redress_callback.domain.visit import AGGREGATE
from redress_callback.permissions import PERMISSIONS
from redress_chassis import Service
from redress_events.contracts import CALLBACK, CONTRACTS

service = Service(
    "callback",
    aggregates={"complaint": AGGREGATE},
    contract=CALLBACK,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    automations=AUTOMATIONS,
    queries=api.QUERIES,
    routes=[api.router],
    fold=5,
)
app = service.app()
