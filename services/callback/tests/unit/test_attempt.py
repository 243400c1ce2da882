"""An attempt to reach the customer: what it leads to, and what it is refused for."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.domain.attempt import Attempt, attempt
from redress_callback.domain.own import Satisfaction
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
from redress_events.contracts.callback import CallbackAttempted, ClosedComplaint, ComplaintClosed, ComplaintReopened, SatisfactionRecorded
from redress_spine.testing import NOON, Happened, Spec

callback = Spec(CALLBACK, AGGREGATE, {Attempt: partial(attempt, policy=POLICY)})
MISSED = Attempt(note="nobody answered")
HAPPY = Attempt(Satisfaction(True, 5, "thank you"), "friendly")


def story(*happened: Happened):
    return callback.given(registered(), resolved(), *happened)


def test_a_satisfied_customer_ends_the_complaint():
    outcome = story(scheduled()).when(HAPPY)
    *events, record = outcome.events
    assert events == [
        CallbackAttempted(cycle=1, attempt=1, reached=True, note="friendly"),
        SatisfactionRecorded(cycle=1, solved=True, score=5, words="thank you"),
        ComplaintClosed(cycle=1, reason="satisfied"),
    ]
    assert isinstance(record, ClosedComplaint)
    assert (record.reason, record.solved, record.satisfaction, record.attempts, record.revision) == ("satisfied", True, 5, 1, 1)
    outcome.after.when(HAPPY).refused("complaint-closed")


@pytest.mark.parametrize(("solved", "score"), [(False, 1), (False, 5), (True, 1)])
def test_a_dissatisfied_one_reopens_it(solved, score):
    story(scheduled()).when(Attempt(Satisfaction(solved, score))).then(
        CallbackAttempted(cycle=1, attempt=1, reached=True),
        SatisfactionRecorded(cycle=1, solved=solved, score=score),
        ComplaintReopened(cycle=2, urgency=1),
    )


def test_solved_with_the_lowest_score_that_the_policy_allows_is_the_end():
    assert any(isinstance(event, ComplaintClosed) for event in story(scheduled()).when(Attempt(Satisfaction(True, 2))).events)


def test_every_time_it_comes_back_it_is_more_urgent():
    twice = story(scheduled(), reached(), answered(False), reopened(), resolved(2), scheduled(2))
    twice.when(Attempt(Satisfaction(False, 1))).then(
        CallbackAttempted(cycle=2, attempt=1, reached=True),
        SatisfactionRecorded(cycle=2, solved=False, score=1),
        ComplaintReopened(cycle=3, urgency=2),
    )


def test_a_rejected_complaint_is_visited_too():
    rejection = callback.given(registered(), rejected(), scheduled()).when(HAPPY)
    record = rejection.events[-1]
    assert isinstance(record, ClosedComplaint)
    assert (record.reason, record.outcome) == ("satisfied", "rejected")


def test_who_was_not_reached_is_tried_again_after_the_spacing():
    first = story(scheduled()).when(MISSED)
    first.then(CallbackAttempted(cycle=1, attempt=1, reached=False, note="nobody answered", next_at=NOON + POLICY.spacing))
    early = first.after.at(NOON + timedelta(minutes=1))
    early.when(MISSED).then(
        CallbackAttempted(cycle=1, attempt=2, reached=False, note="nobody answered", next_at=NOON + timedelta(minutes=1) + POLICY.spacing)
    )


def test_after_the_last_attempt_comes_the_waiting_time():
    story(scheduled(), missed(1), missed(2)).when(MISSED).then(
        CallbackAttempted(cycle=1, attempt=3, reached=False, note="nobody answered", give_up_at=NOON + POLICY.give_up)
    )


def test_one_more_try_is_welcome_and_does_not_prolong_the_waiting():
    waiting = story(scheduled(), missed(1), missed(2), missed(3)).at(NOON + timedelta(hours=20))
    waiting.when(Attempt()).then(CallbackAttempted(cycle=1, attempt=4, reached=False, give_up_at=NOON + POLICY.give_up))
    assert isinstance(waiting.when(HAPPY).events[-1], ClosedComplaint)


def test_a_customer_who_says_something_is_tried_anew():
    """Attempts and waiting time count from what they last said."""
    spoke = story(scheduled(), missed(1), missed(2), missed(3), supplemented(), chased()).at(NOON + timedelta(hours=20))
    first = spoke.when(Attempt())
    first.then(CallbackAttempted(cycle=1, attempt=4, reached=False, said=2, next_at=NOON + timedelta(hours=20) + POLICY.spacing))
    second = first.after.when(Attempt())
    assert [event.next_at is not None for event in second.events if isinstance(event, CallbackAttempted)] == [True]
    third = second.after.at(NOON + timedelta(hours=30)).when(Attempt())
    third.then(CallbackAttempted(cycle=1, attempt=6, reached=False, said=2, give_up_at=NOON + timedelta(hours=30) + POLICY.give_up))
    more = third.after.at(NOON + timedelta(hours=31)).when(Attempt())
    more.then(CallbackAttempted(cycle=1, attempt=7, reached=False, said=2, give_up_at=NOON + timedelta(hours=30) + POLICY.give_up))


def test_where_one_attempt_is_all_the_waiting_time_begins_anew_with_it():
    once = Spec(CALLBACK, AGGREGATE, {Attempt: partial(attempt, policy=replace(POLICY, attempts=1))})
    later = NOON + timedelta(hours=20)
    waiting = once.given(registered(), resolved(), scheduled(), missed(3), supplemented()).at(later)
    waiting.when(Attempt()).then(CallbackAttempted(cycle=1, attempt=4, reached=False, said=1, give_up_at=later + POLICY.give_up))


def test_what_was_said_before_the_first_attempt_gives_no_further_one():
    third = callback.given(registered(), chased(), resolved(), scheduled(), missed(1, said=1), missed(2, said=1)).when(Attempt())
    third.then(CallbackAttempted(cycle=1, attempt=3, reached=False, said=1, give_up_at=NOON + POLICY.give_up))


def test_who_was_reached_after_they_had_said_something_said_it():
    events = story(scheduled(), missed(1), supplemented()).when(HAPPY).events
    assert events[0] == CallbackAttempted(cycle=1, attempt=2, reached=True, note="friendly", said=1)


@pytest.mark.parametrize("command", [MISSED, HAPPY])
def test_nobody_is_called_before_the_visit_is_due(command):
    callback.given(registered()).when(command).refused("no-visit-due")
    story().when(command).refused("no-visit-due")
    story(scheduled(), reached(), answered(False), reopened()).when(command).refused("no-visit-due")


@pytest.mark.parametrize("command", [MISSED, HAPPY])
def test_nobody_is_called_who_has_withdrawn(command):
    story(scheduled(), withdrawn()).when(command).refused("no-visit-due")


@pytest.mark.parametrize("command", [MISSED, HAPPY])
def test_nobody_is_called_after_the_end(command):
    story(scheduled(), closed()).when(command).refused("complaint-closed")
