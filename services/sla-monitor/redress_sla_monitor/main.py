"""The SLA monitor, put together: `uvicorn redress_sla_monitor.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, SLA_MONITOR
from redress_sla_monitor import api
from redress_sla_monitor.domain.watch import KIND
from redress_sla_monitor.permissions import PERMISSIONS
from redress_sla_monitor.work import BREACH, SETTLE, START

service = Service(
    "sla-monitor",
    kinds={"complaint": KIND},
    contract=SLA_MONITOR,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    work=[START, SETTLE, BREACH],
    queries=api.QUERIES,
    routes=[api.router],
    fold=3,
)
app = service.app()
