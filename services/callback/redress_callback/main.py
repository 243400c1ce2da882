"""Callback, put together: `uvicorn redress_callback.main:app`."""

from redress_callback import api
from redress_callback.domain.visit import KIND
from redress_callback.permissions import PERMISSIONS
from redress_callback.work import WORK
from redress_chassis import Service
from redress_events.contracts import CALLBACK, CONTRACTS

service = Service(
    "callback",
    kinds={"complaint": KIND},
    contract=CALLBACK,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    work=WORK,
    queries=api.QUERIES,
    routes=[api.router],
    fold=4,
)
app = service.app()
