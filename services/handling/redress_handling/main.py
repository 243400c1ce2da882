"""Handling, put together: `python -m redress_chassis.serving redress_handling.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, HANDLING
from redress_handling import api, policies
from redress_handling.automations import automations
from redress_handling.domain.aggregate import AGGREGATES
from redress_handling.meanings import MEANINGS
from redress_handling.permissions import PERMISSIONS
from redress_handling.queries import QUERIES

service = Service(
    "handling",
    aggregates=AGGREGATES,
    contract=HANDLING,
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
