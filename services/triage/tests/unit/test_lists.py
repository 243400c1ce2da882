"""The rows say what the state says, in every history, and the work ends what made it due."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.areas import area_key
from redress_events.contracts import TRIAGE
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event, micros
from redress_spine.processing.projections import changes
from redress_spine.testing import NOON, Spec, folded
from redress_triage.automations import classify_by
from redress_triage.domain.aggregate import AGGREGATE
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.lists import WAITING, row
from redress_triage.domain.rules import Rules

SAID: dict[str, Any] = {"category": "other", "sub_category": "privacy", "kind": "complaint", "severity": "normal", "taxonomy": "telecom@1"}
REGISTERED = ComplaintRegistered(number="7K3M", channel="web", kind="complaint", received_at=NOON, text="intake/1/text", area="Ｎorth")
EVENTS = st.one_of(
    st.just(REGISTERED),
    st.builds(ComplaintClosed, cycle=st.integers(1, 3), reason=st.just("withdrawn")),
    st.builds(ComplaintReopened, cycle=st.integers(2, 3), urgency=st.just(1)),
    st.builds(
        ComplaintClassified,
        classification=st.just(1),
        confidence=st.just(0.5),
        review=st.booleans(),
        **{k: st.just(v) for k, v in SAID.items()},
    ),
    st.just(ComplaintReclassified(classification=2, reason="triage/3/reason", **SAID)),
    st.just(ComplaintRouted(routing=1, department="finance", queue="charges")),
)


def shown(complaint: Complaint) -> dict[str, Any]:
    """The complaint's row, or what it amounts to that it has none. Made through the spine, which shows a projection no field that it does
    not name, the rows are the same."""
    rows = row(complaint)
    assert [each[1:] for each in changes(AGGREGATE, "complaint/1", None, (complaint.observed, complaint.own)).came[WAITING]] == rows
    return dict(zip(WAITING.columns, rows[0] if rows else (False, None, area_key(complaint.observed.area) or ""), strict=True))


def chapters(events: list[Event]) -> list[Complaint]:
    """The state after each event, in the order given."""
    return [folded(TRIAGE, AGGREGATE, told) for told in accumulate(([event] for event in events), initial=[])]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=10))
def test_the_rows_say_what_the_state_says(events: list[Event]) -> None:
    for complaint in chapters(events):
        said = shown(complaint)
        registered, classified = complaint.observed.registered_at is not None, complaint.own.classification.number > 0
        waits = complaint.own.review_since if not complaint.closed else None
        assert said["to_classify"] == (registered and not classified and not complaint.closed)
        assert said["review_since"] == (micros(waits) if waits else None)
        assert said["area"] == (area_key(complaint.observed.area) or "")


@pytest.mark.parametrize("words", ["断网", "nothing that the rules know", None])
def test_what_is_due_is_decided_and_then_no_longer_due(triage: Spec, rules: Rules, words: str | None) -> None:
    story = triage.given(REGISTERED).knowing({"intake/1/text": words} if words else {})
    outcome = story.when_due(classify_by(rules))
    assert len(outcome.events) == 2
    assert (shown(story.state)["to_classify"], shown(outcome.after.state)["to_classify"]) == (True, False)
