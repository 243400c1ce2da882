"""Intake, put together. `uvicorn redress_intake.main:app`"""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, INTAKE
from redress_intake import api
from redress_intake.domain.complaint import AGGREGATE
from redress_intake.permissions import PERMISSIONS

service = Service(
    "intake",
    aggregates={"complaint": AGGREGATE},
    contract=INTAKE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    queries=[api.BY_NUMBER, api.PENDING],
    routes=[api.router],
    fold=4,
)
app = service.app()
