"""The state is the same however own and foreign events interleave, and after a round trip through the database's JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redress_events.contracts import TRIAGE
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted, Evidence
from redress_events.event import Event
from redress_spine.store.states import Codec
from redress_spine.testing import NOON, folded
from redress_triage.domain.aggregate import AGGREGATE
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.observed import observe
from redress_triage.domain.own import evolve

FOREIGN: list[Event] = [
    ComplaintRegistered(number="7K3M", channel="app", kind="fault-report", received_at=NOON, text="intake/1/text"),
    CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/3/reason"),
    ComplaintClosed(cycle=1, reason="satisfied"),
    ComplaintReopened(cycle=2, urgency=1),
]
OWN: list[Event] = [
    ComplaintClassified(
        classification=1,
        category="other",
        sub_category="anything_else",
        kind="fault-report",
        severity="normal",
        taxonomy="telecom@2",
        confidence=0.25,
        evidence=(Evidence(start=0, end=2, term="slow"),),
        review=True,
    ),
    ComplaintRouted(routing=1, department="customer_service", queue="review"),
    ComplaintReclassified(
        classification=2,
        category="other",
        sub_category="privacy",
        kind="complaint",
        severity="major",
        taxonomy="telecom@2",
        reason="triage/3/reason",
    ),
    ComplaintRouted(routing=2, department="customer_service", queue="privacy", by="person", reason="triage/4/reason"),
]


@given(st.permutations([True] * len(FOREIGN) + [False] * len(OWN)))
def test_any_interleaving_makes_the_same_state(foreign_next: list[bool]) -> None:
    foreign, own = iter(FOREIGN), iter(OWN)
    assert folded(TRIAGE, AGGREGATE, [next(foreign if turn else own) for turn in foreign_next]) == folded(TRIAGE, AGGREGATE, FOREIGN + OWN)


@given(st.integers(0, len(FOREIGN)), st.integers(0, len(OWN)))
def test_the_state_survives_the_database(observed: int, own: int) -> None:
    state = folded(TRIAGE, AGGREGATE, FOREIGN[:observed] + OWN[:own])
    codec = Codec(AGGREGATE)
    assert Complaint(codec.load_observed(codec.dump_observed(state.observed)), codec.load_own(codec.dump_own(state.own))) == state


def test_an_event_that_does_not_concern_triage_changes_nothing() -> None:
    empty = Complaint()
    assert observe(empty.observed, ComplaintChased(chase=1), NOON) == empty.observed
    assert evolve(empty.own, ComplaintChased(chase=1), NOON) == empty.own
