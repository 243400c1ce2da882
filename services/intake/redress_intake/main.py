"""Intake, put together. `uvicorn redress_intake.main:app`"""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, INTAKE
from redress_intake import api, subscriptions
from redress_intake.domain.complaint import AGGREGATE
from redress_intake.domain.subscription import AGGREGATE as SUBSCRIPTION
from redress_intake.permissions import PERMISSIONS
from redress_intake.webhooks import reactors

service = Service(
    "intake",
    aggregates={"complaint": AGGREGATE, "subscription": SUBSCRIPTION},
    contract=INTAKE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    queries=[api.BY_NUMBER, api.PENDING, subscriptions.OWN],
    routes=[api.router, subscriptions.router],
    webhooks=subscriptions.webhooks,
    reactors=reactors,
    fold=5,
)
app = service.app()
