"""Callback, put together: `python -m redress_chassis.serving redress_callback.main:app`."""

from redress_callback import api, policies
from redress_callback.automations import automations
from redress_callback.domain.aggregate import AGGREGATES
from redress_callback.meanings import MEANINGS
from redress_callback.permissions import PERMISSIONS
from redress_callback.queries import QUERIES
from redress_chassis import Service
from redress_events.contracts import CALLBACK, CONTRACTS

service = Service(
    "callback",
    aggregates=AGGREGATES,
    contract=CALLBACK,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    meanings=MEANINGS,
    policies=policies.in_force,
    automations=automations,
    queries=QUERIES,
    routes=[api.router],
    fold=7,
)
app = service.app()
