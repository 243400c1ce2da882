"""Triage put together: `python -m redress_chassis.serving redress_triage.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, TRIAGE
from redress_triage import api, policies
from redress_triage.automations import automations
from redress_triage.domain.aggregate import AGGREGATES
from redress_triage.meanings import MEANINGS
from redress_triage.permissions import PERMISSIONS
from redress_triage.queries import QUERIES

service = Service(
    "triage",
    aggregates=AGGREGATES,
    contract=TRIAGE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    meanings=MEANINGS,
    policies=policies.in_force,
    automations=automations,
    queries=QUERIES,
    routes=[api.router],
    fold=5,
)
app = service.app()
