"""A person's word on what a complaint is, and where that sends it."""

from __future__ import annotations

from typing import Any

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_spine.testing import NOON, Spec
from redress_triage.domain.reclassify import Reclassify

REGISTERED = ComplaintRegistered(number="7K3M", channel="hotline", kind="complaint", received_at=NOON, text="intake/1/text")
CLOSED = ComplaintClosed(cycle=1, reason="withdrawn")
TO_REVIEW = ComplaintRouted(routing=1, department="customer_service", queue="review")
TO_NETWORK = ComplaintRouted(routing=1, department="technical_support", queue="network")
OUTAGE: dict[str, Any] = {
    "category": "service_quality",
    "sub_category": "outage",
    "kind": "complaint",
    "severity": "normal",
    "taxonomy": "telecom@2",
}
CHARGES: dict[str, Any] = {**OUTAGE, "category": "billing_dispute", "sub_category": "charges"}
PROPOSED = ComplaintClassified(classification=1, confidence=0.5, review=True, **OUTAGE)
CLASSIFIED = ComplaintClassified(classification=1, confidence=1.0, **OUTAGE)
IS_OUTAGE = Reclassify("service_quality", "outage", "said so")
IS_CHARGES = Reclassify("billing_dispute", "charges", "said so")


def test_another_class_moves_it_to_another_department(triage: Spec) -> None:
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(IS_CHARGES).then(
        ComplaintReclassified(classification=2, reason="said so", **CHARGES),
        ComplaintRouted(routing=2, department="finance", queue="charges"),
    )


def test_another_class_of_the_same_desk_moves_nothing(triage: Spec) -> None:
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(Reclassify("service_quality", "mobile_signal", "said so")).then(
        ComplaintReclassified(classification=2, reason="said so", **(OUTAGE | {"sub_category": "mobile_signal"}))
    )


def test_confirming_a_proposal_sends_it_on_and_ends_the_review(triage: Spec) -> None:
    outcome = triage.given(REGISTERED, PROPOSED, TO_REVIEW).when(IS_OUTAGE)
    outcome.then(
        ComplaintReclassified(classification=2, reason="said so", **OUTAGE),
        ComplaintRouted(routing=2, department="technical_support", queue="network"),
    )
    assert outcome.story.state.own.review_since == NOON
    assert outcome.after.state.own.review_since is None


def test_confirming_what_the_rules_were_sure_of_moves_nothing(triage: Spec) -> None:
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(IS_OUTAGE).then(
        ComplaintReclassified(classification=2, reason="said so", **OUTAGE)
    )


def test_said_twice_it_is_true_once(triage: Spec) -> None:
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(IS_CHARGES).after.when(IS_CHARGES).then_nothing()


def test_a_new_severity_alone_is_news(triage: Spec) -> None:
    graver = Reclassify("service_quality", "outage", "a hospital", severity="major")
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(IS_OUTAGE).after.when(graver).then(
        ComplaintReclassified(classification=3, reason="a hospital", **(OUTAGE | {"severity": "major"}))
    )


def test_another_kind_moves_it_where_that_kind_belongs(triage: Spec) -> None:
    question = Reclassify("service_quality", "outage", "only asks", kind="consultation")
    triage.given(REGISTERED, CLASSIFIED, TO_NETWORK).when(question).then(
        ComplaintReclassified(classification=2, reason="only asks", **(OUTAGE | {"kind": "consultation"})),
        ComplaintRouted(routing=2, department="consulting", queue="enquiries"),
    )


def test_kind_and_severity_stay_unless_said(triage: Spec) -> None:
    grave = ComplaintClassified(classification=1, confidence=1.0, **(OUTAGE | {"severity": "major", "kind": "fault-report"}))
    outcome = triage.given(REGISTERED, grave, TO_NETWORK).when(IS_CHARGES)
    assert outcome.events[0] == ComplaintReclassified(
        classification=2, reason="said so", **(CHARGES | {"severity": "major", "kind": "fault-report"})
    )


def test_a_person_may_be_faster_than_the_rules(triage: Spec) -> None:
    triage.given(REGISTERED).when(IS_CHARGES).then(
        ComplaintReclassified(classification=1, reason="said so", **CHARGES),
        ComplaintRouted(routing=1, department="finance", queue="charges"),
    )


def test_a_desk_that_a_person_chose_stands_until_the_class_changes(triage: Spec) -> None:
    chosen = ComplaintRouted(routing=2, department="complaint_handling", queue="general", by="person", reason="r")
    story = (REGISTERED, PROPOSED, TO_REVIEW, chosen)
    triage.given(*story).when(IS_OUTAGE).then(ComplaintReclassified(classification=2, reason="said so", **OUTAGE))
    triage.given(*story).when(IS_CHARGES).then(
        ComplaintReclassified(classification=2, reason="said so", **CHARGES),
        ComplaintRouted(routing=3, department="finance", queue="charges"),
    )


def test_a_department_that_handling_chose_stands_until_the_class_changes(triage: Spec) -> None:
    moved = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="r")
    story = (REGISTERED, CLASSIFIED, TO_NETWORK, moved)
    triage.given(*story).when(IS_OUTAGE).then(ComplaintReclassified(classification=2, reason="said so", **OUTAGE))
    triage.given(*story).when(IS_CHARGES).then(ComplaintReclassified(classification=2, reason="said so", **CHARGES))
    triage.given(*story).when(Reclassify("service_quality", "mobile_signal", "said so")).then(
        ComplaintReclassified(classification=2, reason="said so", **(OUTAGE | {"sub_category": "mobile_signal"})),
        ComplaintRouted(routing=2, department="technical_support", queue="network"),
    )


def test_a_closed_complaint_stays_what_it_is_until_it_is_reopened(triage: Spec) -> None:
    story = (REGISTERED, CLASSIFIED, TO_NETWORK, CLOSED)
    triage.given(*story).when(IS_CHARGES).refused("complaint-closed")
    assert triage.given(*story, ComplaintReopened(cycle=2, urgency=1)).when(IS_CHARGES).events


def test_nothing_is_said_of_what_was_not_heard_of(triage: Spec) -> None:
    triage.given().when(IS_CHARGES).refused("not-registered")
