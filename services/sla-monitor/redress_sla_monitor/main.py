"""The SLA monitor, put together: `python -m redress_chassis.serving redress_sla_monitor.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, SLA_MONITOR
from redress_sla_monitor import api, policies
from redress_sla_monitor.automations import automations
from redress_sla_monitor.domain.aggregate import AGGREGATES
from redress_sla_monitor.meanings import MEANINGS
from redress_sla_monitor.permissions import PERMISSIONS
from redress_sla_monitor.queries import QUERIES

service = Service(
    "sla-monitor",
    aggregates=AGGREGATES,
    contract=SLA_MONITOR,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    meanings=MEANINGS,
    policies=policies.in_force,
    automations=automations,
    queries=QUERIES,
    routes=[api.router],
    fold=4,
    variables=[policies.SETTING],
)
app = service.app()
