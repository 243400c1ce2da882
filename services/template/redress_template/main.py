"""Template, put together: `uvicorn redress_template.main:app`."""

from redress_chassis import Service
from redress_events.contracts import CONTRACTS, TEMPLATE
from redress_template import api
from redress_template.domain.complaint import KIND
from redress_template.permissions import PERMISSIONS
from redress_template.work import WORK

service = Service(
    "template",
    kinds={"complaint": KIND},
    contract=TEMPLATE,
    contracts=CONTRACTS,
    permissions=PERMISSIONS,
    work=WORK,
    queries=api.QUERIES,
    routes=[api.router],
    fold=1,
)
app = service.app()
