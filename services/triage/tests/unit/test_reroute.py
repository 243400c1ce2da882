"""A person sends a complaint elsewhere."""

from __future__ import annotations

from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted
from redress_spine.testing import NOON, Spec
from redress_triage.domain.reroute import Reroute

REGISTERED = ComplaintRegistered(number="7K3M", channel="hotline", kind="complaint", received_at=NOON, text="intake/1/text")
PROPOSED = ComplaintClassified(
    classification=1,
    category="service_quality",
    sub_category="outage",
    kind="complaint",
    severity="normal",
    taxonomy="telecom@2",
    confidence=0.5,
    review=True,
)
ROUTED = ComplaintRouted(routing=1, department="customer_service", queue="review")
TO_FINANCE = Reroute("finance", "refunds", "they owe it")
AT_FINANCE = ComplaintRouted(routing=2, department="finance", queue="refunds", by="person", reason="they owe it")


def test_it_goes_where_the_person_says_and_the_review_stays_open(triage: Spec) -> None:
    outcome = triage.given(REGISTERED, PROPOSED, ROUTED).when(TO_FINANCE).then(AT_FINANCE)
    state = outcome.after.state
    assert (state.department, state.own.routing.queue, state.own.routing.by) == ("finance", "refunds", "person")
    assert state.own.review_since == NOON


def test_where_it_stands_already_nothing_happens(triage: Spec) -> None:
    triage.given(REGISTERED, PROPOSED, ROUTED, AT_FINANCE).when(TO_FINANCE).then_nothing()


def test_a_queue_of_the_same_department_is_another_desk(triage: Spec) -> None:
    triage.given(REGISTERED, PROPOSED, ROUTED).when(Reroute("customer_service", "orders", "r")).then(
        ComplaintRouted(routing=2, department="customer_service", queue="orders", by="person", reason="r")
    )


def test_it_can_be_called_back_from_where_handling_transferred_it(triage: Spec) -> None:
    away = CaseTransferred(cycle=1, routing=2, transfer=1, department="technical_support", reason="r")
    story = triage.given(REGISTERED, PROPOSED, ROUTED, AT_FINANCE, away)
    assert story.state.department == "technical_support"
    story.when(TO_FINANCE).then(ComplaintRouted(routing=3, department="finance", queue="refunds", by="person", reason="they owe it"))


def test_a_transfer_of_an_older_routing_is_beaten(triage: Spec) -> None:
    late = CaseTransferred(cycle=1, routing=1, transfer=1, department="technical_support", reason="r")
    assert triage.given(REGISTERED, PROPOSED, ROUTED, AT_FINANCE, late).state.department == "finance"


def test_what_is_not_classified_is_not_sent_anywhere(triage: Spec) -> None:
    triage.given(REGISTERED).when(TO_FINANCE).refused("not-classified")


def test_a_closed_complaint_stays_where_it_is(triage: Spec) -> None:
    closed = ComplaintClosed(cycle=1, reason="satisfied")
    triage.given(REGISTERED, PROPOSED, ROUTED, closed).when(TO_FINANCE).refused("complaint-closed")
