"""The rules classify and route in one decision."""

from __future__ import annotations

from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted, Evidence
from redress_events.vocabulary import ContactKind
from redress_spine.testing import NOON, Spec
from redress_triage.automations import classify_by
from redress_triage.policies import in_force

CLASSIFY = classify_by(in_force())
TEXT = "intake/1/text"


def registered(kind: ContactKind = "complaint") -> ComplaintRegistered:
    return ComplaintRegistered(number="7K3M", channel="hotline", kind=kind, received_at=NOON, text=TEXT)


def test_a_clear_complaint_goes_to_its_department(triage: Spec) -> None:
    triage.given(registered()).knowing({TEXT: "网速太慢"}).when_due(CLASSIFY).then(
        ComplaintClassified(
            classification=1,
            category="service_quality",
            sub_category="slow_internet",
            kind="complaint",
            severity="normal",
            taxonomy="telecom@2",
            confidence=1.0,
            evidence=(Evidence(start=0, end=4, term="slow"),),
        ),
        ComplaintRouted(routing=1, department="technical_support", queue="network"),
    )


def test_what_the_rules_are_not_sure_of_waits_with_customer_service_for_a_person(triage: Spec) -> None:
    outcome = triage.given(registered()).knowing({TEXT: "断网，账单"}).when_due(CLASSIFY)
    classified, routed = outcome.events
    assert isinstance(classified, ComplaintClassified)
    assert classified.review
    assert classified.category == "service_quality"
    assert routed == ComplaintRouted(routing=1, department="customer_service", queue="review")
    assert outcome.after.state.own.review_since == NOON


def test_a_forgotten_text_is_for_a_person(triage: Spec) -> None:
    triage.given(registered()).knowing({}).when_due(CLASSIFY).then(
        ComplaintClassified(
            classification=1,
            category="other",
            sub_category="anything_else",
            kind="complaint",
            severity="normal",
            taxonomy="telecom@2",
            confidence=0.0,
            review=True,
        ),
        ComplaintRouted(routing=1, department="customer_service", queue="review"),
    )


def test_the_kind_stays_as_registered_and_leads_to_its_department(triage: Spec) -> None:
    outcome = triage.given(registered("consultation")).knowing({TEXT: "网速慢怎么办"}).when_due(CLASSIFY)
    classified, routed = outcome.events
    assert isinstance(classified, ComplaintClassified)
    assert (classified.kind, classified.severity) == ("consultation", "minor")
    assert routed == ComplaintRouted(routing=1, department="consulting", queue="enquiries")


def test_the_work_asks_for_the_text_and_names_the_rules_as_its_actor(triage: Spec) -> None:
    assert CLASSIFY.opens
    assert CLASSIFY.opens(triage.given(registered()).state) == [TEXT]
    assert CLASSIFY.opens(triage.given().state) == []
    assert CLASSIFY.actor == "rules@telecom-2"
