"""What is sent is checked against the taxonomy and the table, and what is answered shows words only where they may be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from redress_chassis import Problem
from redress_events.contracts import TRIAGE
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted, Evidence
from redress_events.event import Event
from redress_spine.store.states import Loaded
from redress_spine.testing import COMPLAINT, NOON, folded
from redress_triage.bodies import ReclassificationBody, RoutingBody
from redress_triage.domain.aggregate import AGGREGATE
from redress_triage.domain.rules import Rules
from redress_triage.views import EXCERPT, ClassificationView, ReviewView, TaxonomyView, references

TEXT = "intake/1/text"
REGISTERED = ComplaintRegistered(number="7K3M", channel="app", kind="complaint", received_at=NOON, text=TEXT)
CLASSIFIED = ComplaintClassified(
    classification=1,
    category="service_quality",
    sub_category="slow_internet",
    kind="complaint",
    severity="normal",
    taxonomy="telecom@2",
    confidence=0.5,
    evidence=(Evidence(start=1, end=5, term="slow"),),
    review=True,
)
ROUTED = ComplaintRouted(routing=1, department="finance", queue="refunds", by="person", reason="triage/2/reason")


def loaded(*events: Event) -> Loaded:
    return Loaded(COMPLAINT, folded(TRIAGE, AGGREGATE, events), "etag", False, len(events))


def test_a_sub_category_must_be_one_of_the_category(rules: Rules) -> None:
    assert ReclassificationBody(category="service_quality", sub_category="outage", reason="r").command(rules).sub_category == "outage"
    with pytest.raises(Problem) as refused:
        ReclassificationBody(category="other", sub_category="outage", reason="r").command(rules)
    assert said_of(refused.value) == (422, "/sub_category", "value-error", "The category other has no such sub-category.")


def test_an_unknown_category_is_the_only_thing_said_about_it() -> None:
    with pytest.raises(ValidationError) as refused:
        ReclassificationBody.model_validate({"category": "weather", "sub_category": "rain", "reason": "r"})
    assert [error["loc"] for error in refused.value.errors()] == [("category",)]


def test_a_desk_must_be_in_the_table(rules: Rules) -> None:
    assert RoutingBody(department="finance", queue="refunds", reason="r").command(rules).queue == "refunds"
    with pytest.raises(Problem) as refused:
        RoutingBody(department="finance", queue="review", reason="r").command(rules)
    assert said_of(refused.value) == (422, "/queue", "value-error", "The queues of finance are charges, refunds.")
    with pytest.raises(Problem) as refused:
        RoutingBody(department="kitchen", queue="review", reason="r").command(rules)
    assert said_of(refused.value)[:3] == (422, "/department", "value-error")
    assert refused.value.errors[0].detail.startswith("The departments are customer_service")


def test_what_a_person_may_name_is_what_is_in_force(rules: Rules) -> None:
    finance = rules.table.departments["finance"]
    other = replace(rules, table=rules.table.model_copy(update={"departments": {"kitchen": finance}}))
    assert RoutingBody(department="kitchen", queue="refunds", reason="r").command(other).department == "kitchen"
    with pytest.raises(Problem, match="The departments are kitchen"):
        RoutingBody(department="finance", queue="refunds", reason="r").command(other)


def said_of(problem: Problem) -> tuple[int, str, str, str]:
    (flaw,) = problem.errors
    return problem.status, flaw.pointer, flaw.code, flaw.detail


def test_evidence_is_shown_with_its_words() -> None:
    answered = ClassificationView.of(loaded(REGISTERED, CLASSIFIED, ROUTED), {TEXT: "😡网速太慢", "triage/2/reason": "they owe it"})
    assert answered.classification
    assert answered.classification.evidence[0].words == "网速太慢"
    assert answered.routing
    assert (answered.routing.reason, answered.routing.queue) == ("they owe it", "refunds")
    assert answered.review_since == NOON


def test_forgotten_words_are_null() -> None:
    answered = ClassificationView.of(loaded(REGISTERED, CLASSIFIED, ROUTED), {})
    assert answered.text is None
    assert answered.classification
    assert answered.classification.evidence[0].words is None


def test_before_the_rules_have_spoken_there_is_no_class_and_no_desk() -> None:
    answered = ClassificationView.of(loaded(REGISTERED), {})
    assert (answered.classification, answered.routing, answered.review_since) == (None, None, None)


def test_after_a_transfer_the_department_is_handlings() -> None:
    moved = CaseTransferred(cycle=1, routing=1, transfer=1, department="technical_support", reason="r")
    answered = ClassificationView.of(loaded(REGISTERED, CLASSIFIED, ROUTED, moved), {})
    assert answered.routing
    assert (answered.routing.department, answered.routing.queue, answered.routing.transferred) == ("technical_support", None, True)


def test_the_queue_shows_the_beginning_of_the_text_to_those_who_may_read_it() -> None:
    waiting = loaded(REGISTERED, CLASSIFIED, ROUTED)
    assert ReviewView.of(waiting, NOON, {TEXT: "慢" * 999}).excerpt == "慢" * EXCERPT
    assert ReviewView.of(waiting, NOON, {}).excerpt is None


def test_what_a_view_shows_in_clear_is_opened_for_it() -> None:
    assert references(loaded(REGISTERED, CLASSIFIED, ROUTED).state) == (TEXT, None, "triage/2/reason")


def test_the_taxonomy_is_shown_with_names(rules: Rules) -> None:
    shown = TaxonomyView.of(rules)
    assert shown.taxonomy == "telecom@2"
    assert [category.id for category in shown.categories][-1] == "other"
    assert shown.departments[0].names.zh == "客户服务部"
