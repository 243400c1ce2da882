"""Who may read what."""

from __future__ import annotations

from redress_chassis import Caller
from redress_events.contracts import TRIAGE
from redress_events.contracts.triage import ComplaintRouted
from redress_events.testing import folded
from redress_triage.api import may_read
from redress_triage.domain.complaint import KIND, Complaint

AT_FINANCE = folded(TRIAGE, KIND, [ComplaintRouted(routing=1, department="finance", queue="refunds")])


def caller(role: str, department: str | None = None) -> Caller:
    return Caller("ann", frozenset({role}), department, role)


def test_a_handler_reads_what_lies_with_his_department() -> None:
    assert may_read(AT_FINANCE, caller("handler", "finance"))
    assert not may_read(AT_FINANCE, caller("handler", "consulting"))
    assert not may_read(AT_FINANCE, caller("handler"))
    assert not may_read(Complaint(), caller("handler"))


def test_agents_and_supervisors_read_everything() -> None:
    assert may_read(AT_FINANCE, caller("agent"))
    assert may_read(Complaint(), caller("supervisor", "consulting"))
