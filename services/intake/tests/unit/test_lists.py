"""A complaint is in the lists that its state belongs in."""

from __future__ import annotations

from redress_events.contracts import INTAKE
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.intake import ComplaintRegistered, ComplaintWithdrawn
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted
from redress_events.event import micros
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.lists import COMPLAINTS, OPEN
from redress_spine.testing import NOON, Spec

REGISTERED = ComplaintRegistered(
    number="N", channel="web", kind="complaint", received_at=NOON, text="intake/1/text", area="Pudong", client="app"
)
CLOSED = ComplaintClosed(cycle=1, reason="satisfied")
LISTED = {"newest": -micros(NOON), "channel": "web", "area": "pudong", "client": "app"}
intake = Spec(INTAKE, AGGREGATE)


def test_a_complaint_is_found_by_its_number_and_among_the_open_ones_until_it_is_closed():
    at = micros(NOON)
    for story, open_since in (
        (intake.given(REGISTERED), at),
        (intake.given(REGISTERED, CLOSED), None),
        (intake.given(REGISTERED, CLOSED, ComplaintReopened(cycle=2, urgency=1)), at),
        (intake.given(CLOSED, REGISTERED), None),
    ):
        assert story.shows(COMPLAINTS) == [{"number": "N", "registered_at": at, "open_since": open_since} | LISTED]


def test_what_was_never_registered_is_in_no_list():
    assert (
        intake.given(CLOSED).shows(COMPLAINTS)
        == []
        == intake.given(ComplaintRouted(routing=1, department="d", queue="q", reason="r")).shows(COMPLAINTS)
    )


def test_an_open_one_is_counted_where_it_stands_and_a_closed_one_nowhere():
    routed = ComplaintRouted(routing=1, department="finance", queue="q")
    classified = ComplaintClassified(
        classification=1,
        category="billing_dispute",
        sub_category="refund",
        kind="complaint",
        severity="normal",
        taxonomy="t@1",
        confidence=1.0,
    )
    back = ComplaintReopened(cycle=2, urgency=1)
    for story, department, category, stage in (
        ([REGISTERED], None, None, "registered"),
        ([REGISTERED, classified], None, "billing_dispute", "classified"),
        ([classified, routed, REGISTERED], "finance", "billing_dispute", "routed"),
        ([REGISTERED, routed, ComplaintWithdrawn(withdrawal=1)], "finance", None, "withdrawal-pending"),
        ([REGISTERED, routed, CLOSED, back], "finance", None, "reopened"),
    ):
        row = {"department": department, "category": category, "stage": stage, "received_at": micros(NOON)} | LISTED
        assert intake.given(*story).shows(OPEN) == [row]
    assert intake.given(REGISTERED, CLOSED).shows(OPEN) == [] == intake.given(routed).shows(OPEN)
