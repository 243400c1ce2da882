"""The public record: complete in itself, free of personal data, and said again when something late changes it."""

from datetime import timedelta

from redress_callback.automations import CLOSE_WITHDRAWN, PUBLISH_AGAIN
from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.testing import (
    RECEIVED,
    annulled,
    answered,
    breached,
    classified,
    missed,
    reached,
    reclassified,
    registered,
    reopened,
    resolved,
    routed,
    scheduled,
    transferred,
    withdrawn,
)
from redress_events.contracts import CALLBACK
from redress_events.contracts.callback import ClosedComplaint, ClosedCycle
from redress_events.vocabulary import CLOSED
from redress_spine.testing import COMPLAINT, NOON, Spec, StorySoFar

callback = Spec(CALLBACK, AGGREGATE)
HOUR = timedelta(hours=1)


def withdrawn_after(*happened) -> StorySoFar:
    return callback.given(registered(), *happened, withdrawn()).at(NOON + 2 * HOUR)


def record(case: StorySoFar) -> ClosedComplaint:
    said = case.when_due(CLOSE_WITHDRAWN).events[-1]
    assert isinstance(said, ClosedComplaint)
    return said


def test_what_was_said_before_there_was_a_catalogue_is_not_published():
    old = registered().model_copy(update={"product": "Ada Byron 13800000000", "area": "12 St James Sq"})
    published = record(callback.given(old, withdrawn()).at(NOON + 2 * HOUR))
    assert (published.product, published.area) == ("other", "other")


def test_it_carries_all_that_was_observed():
    handled = (resolved(department="finance"), NOON + HOUR)
    story = withdrawn_after((classified(), NOON), routed(), transferred("finance"), handled, scheduled(), missed(1), breached())
    assert record(story) == ClosedComplaint(
        complaint=COMPLAINT.removeprefix("complaint/"),
        number="7G2K-9QXR-4M",
        revision=1,
        reason="withdrawn",
        channel="hotline",
        kind="fault-report",
        product="fibre",
        area="shanghai-pudong",
        category="service_quality",
        sub_category="coverage",
        severity="normal",
        department="finance",
        outcome="resolved",
        cycles=1,
        received_at=RECEIVED,
        registered_at=NOON,
        classified_at=NOON,
        resolved_at=NOON + HOUR,
        closed_at=NOON + 2 * HOUR,
        seconds_to_resolve=4 * 3600,
        seconds_to_close=5 * 3600,
        breaches=("resolve/1",),
        attempts=1,
        first_department="finance",
        first_outcome="resolved",
        first_resolved_at=NOON + HOUR,
        seconds_to_first_resolve=4 * 3600,
        per_cycle=(
            ClosedCycle(
                cycle=1,
                started_at=RECEIVED,
                department="finance",
                outcome="resolved",
                resolved_at=NOON + HOUR,
                attempts=1,
                breaches=("resolve",),
                ended_at=NOON + 2 * HOUR,
            ),
        ),
    )


def test_it_holds_no_personal_field():
    assert (ClosedComplaint.personal_fields(), ClosedComplaint.topic, ClosedComplaint.stream) == ((), CLOSED, "closed")


def test_what_was_never_classified_or_handled_is_closed_too():
    said = record(withdrawn_after(routed()))
    assert (said.kind, said.category, said.outcome, said.resolved_at, said.seconds_to_resolve) == ("complaint", None, None, None, None)
    assert said.department == "technical_support"


def test_outcome_and_satisfaction_are_those_of_the_last_cycle_and_attempts_of_all():
    said = record(withdrawn_after(resolved(), scheduled(), missed(1), reached(2), answered(False, 1), reopened()))
    assert (said.cycles, said.outcome, said.resolved_at, said.satisfaction, said.attempts) == (2, None, None, None, 2)


def test_clocks_that_disagree_make_no_negative_durations():
    early = withdrawn_after((resolved(), RECEIVED - HOUR)).at(RECEIVED - HOUR)
    said = record(early)
    assert (said.seconds_to_resolve, said.seconds_to_close) == (0, 0)


def test_a_breach_that_comes_late_is_published_and_so_is_its_annulment():
    ended = withdrawn_after(resolved()).when_due(CLOSE_WITHDRAWN).after
    ended.when_due(PUBLISH_AGAIN).then_nothing()

    breach = callback.given(*ended.happened, breached()).at(NOON + 9 * HOUR).when_due(PUBLISH_AGAIN)
    (second,) = breach.events
    assert isinstance(second, ClosedComplaint)
    assert (second.revision, second.breaches, second.closed_at) == (2, ("resolve/1",), NOON + 2 * HOUR)
    breach.after.when_due(PUBLISH_AGAIN).then_nothing()

    annulment = callback.given(*breach.after.happened, annulled()).when_due(PUBLISH_AGAIN)
    (third,) = annulment.events
    assert isinstance(third, ClosedComplaint)
    assert (third.revision, third.breaches) == (3, ())
    annulment.after.when_due(PUBLISH_AGAIN).then_nothing()


def test_a_breach_under_the_same_name_changes_nothing():
    ended = withdrawn_after(breached(n=1)).when_due(CLOSE_WITHDRAWN).after
    callback.given(*ended.happened, breached(n=2)).when_due(PUBLISH_AGAIN).then_nothing()


def test_nothing_is_published_before_the_end():
    callback.given(registered(), reclassified(), breached()).when_due(PUBLISH_AGAIN).then_nothing()
