"""What services take over from a registration and from a classification."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from redress_events.classification import Classification, classified, current_kind, settled
from redress_events.contracts.intake import ComplaintRegistered, EarlierComplaint
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified
from redress_events.registration import Registration, registered

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EARLIER = EarlierComplaint(complaint=str(UUID(int=7)), number="RD-1")


def proposed(*, review: bool) -> ComplaintClassified:
    return ComplaintClassified(
        classification=1,
        category="billing_dispute",
        sub_category="roaming",
        kind="complaint",
        severity="serious",
        taxonomy="telecom@1",
        confidence=0.4,
        review=review,
    )


CORRECTED = ComplaintReclassified(
    classification=2,
    category="other",
    sub_category="other",
    kind="consultation",
    severity="minor",
    taxonomy="telecom@1",
    reason="triage/3/reason",
)


def test_a_registration_has_the_references_of_what_was_given():
    event = ComplaintRegistered(
        number="RD-2",
        channel="sms",
        kind="fault-report",
        received_at=NOON,
        product="fibre",
        area="north",
        refers_to=EARLIER,
        text="intake/1/text",
        phone="intake/1/phone",
    )
    assert registered(event) == Registration(
        number="RD-2",
        channel="sms",
        kind="fault-report",
        received_at=NOON,
        product="fibre",
        area="north",
        refers_to=EARLIER,
        words={"text": "intake/1/text", "phone": "intake/1/phone"},
    )


def test_a_classification_is_what_was_said_by_rules_or_a_person():
    assert classified(proposed(review=False)) == Classification("billing_dispute", "roaming", "complaint", "serious")
    assert classified(CORRECTED) == Classification("other", "other", "consultation", "minor")


@pytest.mark.parametrize(("event", "holds"), [(proposed(review=False), True), (proposed(review=True), False), (CORRECTED, True)])
def test_what_the_rules_were_not_sure_of_is_not_settled(event: ComplaintClassified | ComplaintReclassified, holds: bool):
    assert settled(event) is holds


def test_triage_has_the_last_word_on_its_kind():
    assert current_kind(None, "suggestion") == "suggestion"
    assert current_kind(classified(CORRECTED), "suggestion") == "consultation"
