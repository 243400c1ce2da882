"""Who may read what."""

from __future__ import annotations

from redress_chassis import Caller
from redress_events.contracts import TRIAGE
from redress_events.contracts.triage import ComplaintRouted
from redress_spine.testing import folded
from redress_triage.domain.aggregate import AGGREGATE
from redress_triage.domain.complaint import Complaint
from redress_triage.permissions import PERMISSIONS

READ = PERMISSIONS["GET /complaints/{complaint}/classification"]
AT_FINANCE = folded(TRIAGE, AGGREGATE, [ComplaintRouted(routing=1, department="finance", queue="refunds")])


def caller(role: str, department: str | None = None) -> Caller:
    return Caller("ann", frozenset({role}), department)


def test_a_handler_reads_what_lies_with_his_department() -> None:
    assert READ.on(caller("handler", "finance"), AT_FINANCE)
    assert not READ.on(caller("handler", "consulting"), AT_FINANCE)
    assert not READ.on(caller("handler"), AT_FINANCE)
    assert not READ.on(caller("handler"), Complaint())


def test_agents_and_supervisors_read_everything() -> None:
    assert READ.on(caller("agent"), AT_FINANCE)
    assert READ.on(caller("supervisor", "consulting"), Complaint())
