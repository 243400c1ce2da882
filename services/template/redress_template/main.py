"""Template, put together: `python -m redress_chassis.serving redress_template.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, TEMPLATE
from redress_template import api, policies
from redress_template.automations import automations
from redress_template.domain.aggregate import AGGREGATES
from redress_template.meanings import MEANINGS
from redress_template.permissions import PERMISSIONS
from redress_template.queries import QUERIES

service = Service(
    "template",
    aggregates=AGGREGATES,
    contract=TEMPLATE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    meanings=MEANINGS,
    policies=policies.in_force,
    automations=automations,
    queries=QUERIES,
    routes=[api.router],
    fold=1,
)
app = service.app()
