"""What the public record says of each cycle and each clock: a complaint that came back keeps what was said of it before."""

from datetime import timedelta
from typing import Any

from redress_callback.automations import CLOSE_WITHDRAWN, PUBLISH_AGAIN
from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.domain.shown import MOST
from redress_callback.testing import (
    RECEIVED,
    accepted,
    annulled,
    answered,
    breached,
    clock_met,
    clock_started,
    closed,
    contacted,
    missed,
    reached,
    registered,
    rejected,
    reopened,
    resolved,
    scheduled,
    withdrawn,
)
from redress_events.contracts import CALLBACK
from redress_events.contracts.callback import ClosedClock, ClosedComplaint, ClosedCycle
from redress_spine.testing import NOON, Happened, Spec, StorySoFar

callback = Spec(CALLBACK, AGGREGATE)
HOUR = timedelta(hours=1)
BACK, END = NOON + 2 * HOUR, NOON + 5 * HOUR


def withdrawn_after(*happened: Happened) -> StorySoFar:
    return callback.given(registered(), *happened, withdrawn()).at(END)


def record(story: StorySoFar) -> ClosedComplaint:
    said = story.when_due(CLOSE_WITHDRAWN).events[-1]
    assert isinstance(said, ClosedComplaint)
    return said


def once_more(cycle: int, score: int = 1) -> list[Happened]:
    return [resolved(cycle), scheduled(cycle), reached(cycle=cycle), answered(False, score, cycle), reopened(cycle + 1)]


def test_the_first_answer_and_the_last_are_both_there():
    spoken = NOON + HOUR / 2
    first: list[Happened] = [(accepted(), NOON), contacted(at=spoken), (resolved(), NOON + HOUR), scheduled(), missed(1), reached(2)]
    later = BACK + HOUR
    second: list[Happened] = [(accepted(2), later), contacted(2, later), (rejected(2), later + HOUR), scheduled(2), reached(1, 2)]
    said = record(withdrawn_after(*first, answered(False, 2), (reopened(2), BACK), breached(cycle=2), *second, answered(True, 5, 2)))
    assert said.per_cycle == (
        ClosedCycle(
            cycle=1,
            started_at=RECEIVED,
            department="technical_support",
            outcome="resolved",
            accepted_at=NOON,
            contacted_at=NOON + HOUR / 2,
            resolved_at=NOON + HOUR,
            attempts=2,
            solved=False,
            satisfaction=2,
            ended_at=BACK,
        ),
        ClosedCycle(
            cycle=2,
            started_at=BACK,
            department="technical_support",
            outcome="rejected",
            accepted_at=BACK + HOUR,
            contacted_at=BACK + HOUR,
            resolved_at=BACK + 2 * HOUR,
            attempts=1,
            solved=True,
            satisfaction=5,
            breaches=("resolve",),
            ended_at=END,
        ),
    )
    assert (said.first_outcome, said.first_solved, said.first_satisfaction, said.first_resolved_at) == ("resolved", False, 2, NOON + HOUR)
    assert (said.outcome, said.solved, said.satisfaction, said.resolved_at) == ("rejected", True, 5, BACK + 2 * HOUR)
    assert (said.accepted_at, said.first_contacted_at, said.seconds_to_first_resolve) == (NOON, NOON + HOUR / 2, 4 * 3600)


def test_what_was_done_twice_counts_when_it_was_done_first():
    (cycle,) = record(withdrawn_after((accepted(), NOON), contacted(at=NOON), (accepted(), END), contacted(at=END))).per_cycle
    assert (cycle.accepted_at, cycle.contacted_at, cycle.outcome) == (NOON, NOON, None)
    (cycle,) = record(withdrawn_after(contacted(at=END), contacted(at=NOON))).per_cycle  # noted later, and happened earlier
    assert cycle.contacted_at == NOON


def test_of_many_cycles_the_first_and_the_last_are_shown_and_no_state_grows_for_ever():
    story = [event for cycle in range(1, 30) for event in (clock_started(cycle=cycle), *once_more(cycle))]
    withdrawal = withdrawn_after(*story)
    said = record(withdrawal)
    shown = [1, *range(30 - MOST + 2, 31)]
    assert ([each.cycle for each in said.per_cycle], said.cycles) == (shown, 30)
    assert [each.cycle for each in said.clocks] == shown[:-1]
    assert all(each.started_at == NOON for each in said.per_cycle[1:])
    observed, own = withdrawal.state.observed, withdrawal.state.own
    assert max(len(observed.cases), len(observed.clocks), len(own.past)) <= MOST
    withdrawal.when_due(CLOSE_WITHDRAWN).after.when_due(PUBLISH_AGAIN).then_nothing()


def test_each_clock_has_its_last_target_and_what_was_left_of_it():
    classify = (clock_started("classify", deadline=NOON + HOUR), clock_met("classify", at=NOON - HOUR, left=7_200))
    retargeted = (clock_started(deadline=NOON), breached(n=1), clock_started(n=2, deadline=NOON + HOUR), clock_met(n=1, left=1))
    said = record(withdrawn_after(*classify, *retargeted, resolved(), clock_met(n=2, at=NOON + HOUR / 2, left=-60)))
    common: dict[str, Any] = {"cycle": 1, "target": "3 working days", "deadline": NOON + HOUR}
    assert said.clocks == (
        ClosedClock(clock="classify", n=1, met_at=NOON - HOUR, business_seconds_left=7_200, breached=False, **common),
        ClosedClock(clock="resolve", n=2, met_at=NOON + HOUR / 2, business_seconds_left=-60, breached=True, **common),
    )


def test_a_clock_that_the_closing_ended_was_not_met():
    (clock,) = record(withdrawn_after(clock_started(), annulled())).clocks
    assert (clock.met_at, clock.business_seconds_left) == (None, None)


def test_what_is_known_of_a_clock_after_the_end_is_published_once():
    ended = withdrawn_after(clock_started(), resolved()).when_due(CLOSE_WITHDRAWN).after
    late = callback.given(*ended.happened, clock_met(left=-5), breached()).when_due(PUBLISH_AGAIN)
    (second,) = late.events
    assert isinstance(second, ClosedComplaint)
    assert (second.revision, second.clocks[0].business_seconds_left, second.clocks[0].breached) == (2, -5, True)
    late.after.when_due(PUBLISH_AGAIN).then_nothing()

    annulment = callback.given(*late.after.happened, annulled(left=30)).when_due(PUBLISH_AGAIN)
    (third,) = annulment.events
    assert isinstance(third, ClosedComplaint)
    assert (third.clocks[0].met_at, third.clocks[0].business_seconds_left, third.clocks[0].breached) == (NOON, 30, False)
    annulment.after.when_due(PUBLISH_AGAIN).then_nothing()


def test_a_record_from_before_clocks_were_in_it_is_published_again():
    """What an old service published is folded anew by a rebuild, and found to lack what is known."""
    ended = withdrawn_after(clock_started(), resolved()).when_due(CLOSE_WITHDRAWN)
    *before, new = ended.events
    assert isinstance(new, ClosedComplaint)
    old = ClosedComplaint.model_validate(new.model_dump(exclude={"clocks", "per_cycle"}))
    again = callback.given(registered(), clock_started(), resolved(), withdrawn(), closed(reason="withdrawn", withdrawal=1), old)
    assert len(before) == 1
    (second,) = again.when_due(PUBLISH_AGAIN).events
    assert isinstance(second, ClosedComplaint)
    assert (second.revision, len(second.per_cycle), len(second.clocks)) == (2, 1, 1)
