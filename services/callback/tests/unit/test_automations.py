"""What callback does by itself: schedules, answers, gives up and corrects, each once."""

from datetime import timedelta

import pytest

from redress_callback.automations import CLOSE_WITHDRAWN, GIVE_UP, schedule_by
from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.testing import (
    POLICY,
    answered,
    chased,
    closed,
    missed,
    reached,
    registered,
    rejected,
    reopened,
    resolved,
    scheduled,
    supplemented,
    withdrawn,
)
from redress_events.contracts import CALLBACK
from redress_events.contracts.callback import CallbackScheduled, ClosedComplaint, ComplaintClosed
from redress_spine.testing import NOON, Spec

callback = Spec(CALLBACK, AGGREGATE)
SCHEDULE = schedule_by(POLICY)
UNREACHED = [registered(), resolved(), scheduled(), missed(1), missed(2), missed(3)]


def test_a_visit_is_scheduled_once_counted_from_the_resolution():
    late = callback.given(registered(), (resolved(), NOON)).at(NOON + timedelta(hours=2)).when_due(SCHEDULE)
    late.then(CallbackScheduled(cycle=1, outcome="resolved", due_at=NOON + POLICY.first_attempt))
    late.after.when_due(SCHEDULE).then_nothing()


def test_a_rejected_complaint_is_visited_like_a_resolved_one():
    callback.given(registered(), rejected()).when_due(SCHEDULE).then(
        CallbackScheduled(cycle=1, outcome="rejected", due_at=NOON + POLICY.first_attempt)
    )


def test_every_cycle_has_a_visit_of_its_own():
    story = [registered(), resolved(), scheduled(), reached(), answered(False), reopened()]
    callback.given(*story).when_due(SCHEDULE).then_nothing()
    callback.given(*story, resolved(2)).when_due(SCHEDULE).then(
        CallbackScheduled(cycle=2, outcome="resolved", due_at=NOON + POLICY.first_attempt)
    )


def test_nothing_is_scheduled_for_who_has_withdrawn_or_what_is_closed():
    callback.given(registered(), resolved(), withdrawn()).when_due(SCHEDULE).then_nothing()
    callback.given(registered(), closed(), resolved()).when_due(SCHEDULE).then_nothing()


def test_a_withdrawal_ends_the_complaint_in_any_stage():
    for story in ([registered()], [registered(), resolved(), scheduled()], UNREACHED):
        outcome = callback.given(*story, withdrawn(2)).when_due(CLOSE_WITHDRAWN)
        *events, record = outcome.events
        assert events == [ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=2)]
        assert isinstance(record, ClosedComplaint)
        assert (record.reason, record.satisfaction) == ("withdrawn", None)
        outcome.after.when_due(CLOSE_WITHDRAWN).then_nothing()


def test_a_withdrawal_after_the_end_changes_nothing():
    callback.given(registered(), closed(), withdrawn()).when_due(CLOSE_WITHDRAWN).then_nothing()


def test_the_unreachable_is_given_up_when_the_waiting_time_is_over():
    waiting = callback.given(*UNREACHED)
    waiting.at(NOON + POLICY.give_up - timedelta(seconds=1)).when_due(GIVE_UP).then_nothing()
    outcome = waiting.at(NOON + POLICY.give_up).when_due(GIVE_UP)
    *events, record = outcome.events
    assert events == [ComplaintClosed(cycle=1, reason="unreachable")]
    assert isinstance(record, ClosedComplaint)
    assert (record.reason, record.attempts, record.solved) == ("unreachable", 3, None)
    outcome.after.when_due(GIVE_UP).then_nothing()


@pytest.mark.parametrize("word", [supplemented(), chased(), chased(text="intake/3/text")])
@pytest.mark.parametrize("position", range(1, len(UNREACHED) + 1))
def test_whoever_says_something_that_no_attempt_knew_is_not_given_up(word, position):
    """Wherever it is observed among the others' events and our own: a restored log may have it anywhere behind the registration."""
    story = [*UNREACHED[:position], word, *UNREACHED[position:]]
    spoke = callback.given(*story).at(NOON + timedelta(days=9))
    spoke.when_due(GIVE_UP).then_nothing()
    tried = callback.given(*story, *(missed(n, said=1) for n in (4, 5, 6))).at(NOON + timedelta(days=9)).when_due(GIVE_UP)
    assert isinstance(tried.events[0], ComplaintClosed)


def test_what_the_department_knew_when_it_ended_the_case_keeps_nobody_from_giving_up():
    known = [registered(), chased(), resolved(said=1), *UNREACHED[2:]]
    assert callback.given(*known).at(NOON + POLICY.give_up).when_due(GIVE_UP).events


def test_whoever_withdraws_meanwhile_is_not_given_up():
    callback.given(*UNREACHED, withdrawn()).at(NOON + timedelta(days=9)).when_due(GIVE_UP).then_nothing()
