"""Intake, put together. `python -m redress_chassis.serving redress_intake.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, INTAKE
from redress_intake import api, policies
from redress_intake.automations import automations
from redress_intake.domain.aggregate import AGGREGATES
from redress_intake.meanings import MEANINGS
from redress_intake.permissions import PERMISSIONS
from redress_intake.queries import QUERIES
from redress_intake.reactors import reactors

service = Service(
    "intake",
    aggregates=AGGREGATES,
    contract=INTAKE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    meanings=MEANINGS,
    policies=policies.in_force,
    automations=automations,
    queries=QUERIES,
    routes=[api.router, api.subscriptions, api.statistics],
    webhooks=api.webhooks,
    reactors=reactors,
    variables=[policies.SETTING],
    fold=8,
)
app = service.app()
