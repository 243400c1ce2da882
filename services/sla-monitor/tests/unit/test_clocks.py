"""Clocks start, are met, cancelled and renewed; deadlines are breached, once, and a breach is taken back when it was none.

One long file: start, settle and breach are told on the same complaint, and only together do they make a story.

Long, for each rule of the two clocks is a test of its own.
"""

from datetime import UTC, datetime, timedelta

import pytest

from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseRejected, CaseResolved
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered
from redress_events.contracts.sla_monitor import BreachAnnulled, ClockCancelled, ClockConfirmed, ClockMet, ClockStarted, DeadlineBreached
from redress_events.contracts.triage import Category, ComplaintClassified, ComplaintReclassified, Severity
from redress_events.event import Event
from redress_sla_monitor.automations import automations
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.domain.deadline import business_seconds
from redress_sla_monitor.domain.observed import observe
from redress_sla_monitor.domain.own import evolve
from redress_sla_monitor.policies import in_force
from redress_spine.testing import Happened, Spec

MONITOR = Spec(SLA_MONITOR, AGGREGATE)
START, SETTLE, BREACH = automations(in_force())
RECEIVED = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # Monday, ten in the morning in Shanghai
POLICY, CALENDAR = in_force({}).policy.name, "china@1"


def day(n: int, hours: float = 0) -> datetime:
    """So many days and hours after receipt."""
    return RECEIVED + timedelta(days=n, hours=hours)


def midnight(n: int) -> datetime:
    """24:00 in Shanghai of the n-th day after receipt."""
    return datetime(2026, 3, 2, 16, tzinfo=UTC) + timedelta(days=n)


def registered() -> Happened:
    event = ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=RECEIVED, text="intake/1/text")
    return event, day(0, 0.1)


def said(n: int, at: datetime, category: Category, severity: Severity = "normal") -> Happened:
    if n == 1:
        by_rule = ComplaintClassified(
            classification=1, category=category, sub_category="x", kind="complaint", severity=severity, taxonomy="t@1", confidence=1
        )
        return by_rule, at
    by_person = ComplaintReclassified(
        classification=n, category=category, sub_category="x", kind="complaint", severity=severity, taxonomy="t@1", reason="triage/9/reason"
    )
    return by_person, at


def resolved(at: datetime, cycle: int = 1) -> Happened:
    return CaseResolved(cycle=cycle, department="d", cause="h/1/c", measures="h/1/m", responsible_unit="u", told_customer="phone"), at


def rejected(at: datetime, cycle: int = 1) -> Happened:
    return CaseRejected(cycle=cycle, department="d", reason="h/1/r", told_customer="phone"), at


def reopened(at: datetime, cycle: int = 2) -> Happened:
    return ComplaintReopened(cycle=cycle, urgency=1), at


def closed(at: datetime, cycle: int = 1) -> Happened:
    return ComplaintClosed(cycle=cycle, reason="withdrawn", withdrawal=1), at


def classify() -> ClockStarted:
    return ClockStarted(
        clock="classify",
        cycle=1,
        n=1,
        policy=POLICY,
        calendar=CALENDAR,
        target="1 working day",
        starts_at=RECEIVED,
        deadline=midnight(1),
    )


def resolve(
    days: int, deadline: datetime, *, cycle: int = 1, n: int = 1, classification: int = 1, starts_at: datetime = RECEIVED
) -> ClockStarted:
    return ClockStarted(
        clock="resolve",
        cycle=cycle,
        n=n,
        target=f"{days} working days",
        starts_at=starts_at,
        deadline=deadline,
        classification=classification,
        policy=POLICY,
        calendar=CALENDAR,
    )


QUALITY = said(1, day(0, 1), "service_quality")
THREE_DAYS = resolve(3, midnight(3))
FIVE_DAYS = resolve(5, midnight(7), n=2, classification=2)
CLASSIFIED: tuple[Happened, ...] = (
    registered(),
    QUALITY,
    classify(),
    THREE_DAYS,
    ClockMet(clock="classify", cycle=1, n=1, met_at=day(0, 1), in_time=True, business_seconds_left=14 * 3600),
)


def breached(*, noticed_at: datetime) -> DeadlineBreached:
    return DeadlineBreached(clock="resolve", cycle=1, n=1, deadline=midnight(3), noticed_at=noticed_at)


def met(at: datetime, *, in_time: bool, n: int = 1) -> ClockMet:
    left = business_seconds(at, midnight(3 if n == 1 else 7), in_force().calendar)
    return ClockMet(clock="resolve", cycle=1, n=n, met_at=at, in_time=in_time, business_seconds_left=left)


def cancelled(at: datetime, reason: str) -> ClockCancelled:
    return ClockCancelled.model_validate({"clock": "resolve", "cycle": 1, "n": 1, "reason": reason, "cancelled_at": at})


def annulled(kept_at: datetime) -> BreachAnnulled:
    left = business_seconds(kept_at, midnight(3), in_force().calendar)
    return BreachAnnulled(clock="resolve", cycle=1, n=1, deadline=midnight(3), kept_at=kept_at, business_seconds_left=left)


# Starting


def test_the_classify_clock_starts_with_the_registration_and_counts_from_receipt():
    MONITOR.given(registered()).when_due(START).then(classify())


def test_nothing_starts_before_the_registration_is_known():
    MONITOR.given(QUALITY).when_due(START).then_nothing()


def test_the_resolve_clock_starts_once_classified():
    MONITOR.given(registered(), classify(), QUALITY).when_due(START).then(THREE_DAYS)


def test_a_major_complaint_has_half_the_time():
    MONITOR.given(registered(), classify(), said(1, day(0, 1), "service_quality", "major")).when_due(START).then(resolve(2, midnight(2)))


def test_each_clock_starts_once():
    MONITOR.given(*CLASSIFIED).when_due(START).then_nothing()


def test_clocks_start_even_when_their_end_is_known_already():
    MONITOR.given(registered(), QUALITY, resolved(day(1)), closed(day(2))).when_due(START).then(classify(), THREE_DAYS)


def test_nothing_is_timed_that_was_closed_before_it_was_classified():
    MONITOR.given(registered(), classify(), closed(day(0, 0.5)), QUALITY).when_due(START).then_nothing()


def test_a_later_cycle_counts_from_its_reopening_and_by_the_classification_in_force_then():
    before, after = said(2, day(1, 5), "billing_dispute"), said(3, day(3), "after_sales")
    story = MONITOR.given(*CLASSIFIED, resolved(day(1)), before, reopened(day(2)), after)  # on Wednesday the 4th
    story.when_due(START).then(resolve(5, midnight(9), cycle=2, classification=2, starts_at=day(2)))  # until Wednesday the 11th


def test_a_cycle_of_which_only_the_end_is_known_is_not_timed():
    MONITOR.given(resolved(day(1)), QUALITY).when_due(START).then_nothing()


# Meeting and cancelling


@pytest.mark.parametrize("end", [resolved, rejected])
def test_resolved_or_rejected_in_time(end):
    MONITOR.given(*CLASSIFIED, end(day(1))).when_due(SETTLE).then(met(day(1), in_time=True))


def test_what_happens_at_the_deadline_is_in_time():
    MONITOR.given(*CLASSIFIED, resolved(midnight(3))).when_due(SETTLE).then(met(midnight(3), in_time=True))


def test_the_classify_clock_is_met_by_the_first_classification():
    story = MONITOR.given(registered(), classify(), THREE_DAYS, QUALITY)
    met_first = ClockMet(clock="classify", cycle=1, n=1, met_at=day(0, 1), in_time=True, business_seconds_left=14 * 3600)
    story.when_due(SETTLE).then(met_first)


def test_what_ends_late_is_breached_first():
    late = day(5)
    MONITOR.given(*CLASSIFIED, resolved(late)).at(late).when_due(SETTLE).then(breached(noticed_at=late), met(late, in_time=False))


def test_a_breach_that_was_said_is_not_said_again():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), resolved(day(5)))
    story.when_due(SETTLE).then(met(day(5), in_time=False))


def test_closing_cancels_what_still_runs():
    MONITOR.given(*CLASSIFIED, closed(day(1))).when_due(SETTLE).then(cancelled(day(1), "closed"))


def test_closing_after_the_deadline_does_not_hide_the_breach():
    story = MONITOR.given(*CLASSIFIED, closed(day(5))).at(day(5))
    story.when_due(SETTLE).then(breached(noticed_at=day(5)), cancelled(day(5), "closed"))


def test_the_earlier_of_two_ends_counts_in_whatever_order_they_come():
    MONITOR.given(*CLASSIFIED, closed(day(2)), resolved(day(1))).when_due(SETTLE).then(met(day(1), in_time=True))


def test_closing_a_later_cycle_closes_the_earlier():
    MONITOR.given(*CLASSIFIED, closed(day(2), cycle=2)).when_due(SETTLE).then(cancelled(day(2), "closed"))


def test_a_reopening_ends_an_earlier_cycle_of_which_no_end_is_known():
    MONITOR.given(*CLASSIFIED, reopened(day(2))).when_due(SETTLE).then(cancelled(day(2), "reopened"))


def test_the_end_of_one_cycle_is_kept_while_the_next_begins():
    MONITOR.given(*CLASSIFIED, resolved(day(1)), reopened(day(2))).when_due(SETTLE).then(met(day(1), in_time=True))


# Another target


def test_a_reclassification_renews_the_clock_from_the_same_start():
    story = MONITOR.given(*CLASSIFIED, said(2, day(1), "billing_dispute"))
    story.when_due(SETTLE).then(cancelled(day(1), "new-target"), FIVE_DAYS)
    story.when_due(SETTLE).after.when_due(SETTLE).then_nothing()


def test_a_reclassification_with_the_same_target_only_confirms_it():
    story = MONITOR.given(*CLASSIFIED, said(2, day(1), "service_quality"))
    story.when_due(SETTLE).then(ClockConfirmed(clock="resolve", cycle=1, n=1, classification=2))
    story.when_due(SETTLE).after.when_due(SETTLE).then_nothing()


def test_a_breach_said_before_the_reclassification_stays_said():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), said(2, day(5), "billing_dispute"))
    story.when_due(SETTLE).then(cancelled(day(5), "new-target"), FIVE_DAYS)


def test_a_reclassification_after_the_deadline_does_not_hide_the_breach():
    story = MONITOR.given(*CLASSIFIED, said(2, day(5), "billing_dispute")).at(day(5))
    story.when_due(SETTLE).then(breached(noticed_at=day(5)), cancelled(day(5), "new-target"), FIVE_DAYS)


def test_a_reclassification_after_the_end_changes_nothing():
    MONITOR.given(*CLASSIFIED, said(2, day(2), "billing_dispute"), resolved(day(1))).when_due(SETTLE).then(met(day(1), in_time=True))


def test_reclassifications_are_answered_one_by_one_and_then_the_end():
    story = MONITOR.given(*CLASSIFIED, said(2, day(1), "billing_dispute"), said(3, day(2), "business_process"), resolved(day(4)))
    story.when_due(SETTLE).then(
        cancelled(day(1), "new-target"),
        FIVE_DAYS,
        ClockConfirmed(clock="resolve", cycle=1, n=2, classification=3),
        met(day(4), in_time=True, n=2),
    )


# Breaching


def test_a_deadline_is_breached_the_moment_after_it():
    first_late = midnight(3) + timedelta(microseconds=1)
    MONITOR.given(*CLASSIFIED).at(midnight(3)).when_due(BREACH).then_nothing()
    MONITOR.given(*CLASSIFIED).at(first_late).when_due(BREACH).then(breached(noticed_at=first_late))


def test_a_deadline_is_breached_once():
    MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3))).at(day(9)).when_due(BREACH).then_nothing()


def test_a_deadline_that_the_log_was_not_read_past_is_not_judged():
    MONITOR.given(*CLASSIFIED).at(day(9)).read_to(midnight(3)).when_due(BREACH).then_nothing()


@pytest.mark.parametrize("known", [resolved(day(1)), resolved(day(5)), closed(day(1)), said(2, day(1), "billing_dispute")])
def test_a_clock_whose_end_or_new_target_is_known_is_left_to_settling(known: Happened):
    MONITOR.given(*CLASSIFIED, known).at(day(9)).when_due(BREACH).then_nothing()


# Annulling


@pytest.mark.parametrize(
    ("late_news", "and_then"),
    [
        (resolved(midnight(3)), met(midnight(3), in_time=True)),
        (closed(day(1)), cancelled(day(1), "closed")),
    ],
)
def test_an_event_that_comes_late_with_an_earlier_time_annuls(late_news: Happened, and_then: Event):
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), late_news)
    story.when_due(SETTLE).then(annulled(and_then.met_at if isinstance(and_then, ClockMet) else day(1)), and_then)
    story.when_due(SETTLE).after.when_due(SETTLE).then_nothing()


def test_a_reclassification_that_comes_late_with_an_earlier_time_annuls():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), said(2, day(1), "billing_dispute"))
    story.when_due(SETTLE).then(annulled(day(1)), cancelled(day(1), "new-target"), FIVE_DAYS)


def test_a_breach_is_annulled_even_when_the_clock_has_ended():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), cancelled(day(5), "closed"), closed(day(5)), resolved(day(1)))
    story.when_due(SETTLE).then(annulled(day(1)))


def test_annulled_is_final():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), annulled(day(1)), closed(day(1)), cancelled(day(1), "closed"))
    story.at(day(9)).when_due(SETTLE).then_nothing()
    story.at(day(9)).when_due(BREACH).then_nothing()


def test_an_end_after_the_deadline_annuls_nothing():
    story = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)), met(day(5), in_time=False), resolved(day(5)))
    story.when_due(SETTLE).then_nothing()


# Folding


def test_events_that_do_not_concern_it_change_nothing():
    state = MONITOR.given(*CLASSIFIED).state
    assert observe(state.observed, ComplaintChased(chase=1), day(1)) == state.observed
    assert evolve(state.own, ComplaintChased(chase=1), day(1)) == state.own


def test_of_two_events_that_say_the_same_the_earlier_counts():
    twice = (resolved(day(2)), rejected(day(1)), closed(day(4)), closed(day(3)), reopened(day(6)), reopened(day(5)))
    story = MONITOR.given(*CLASSIFIED, *twice)
    first, second = story.state.observed.cycles
    assert (first.met_at, first.closed_at, second.starts_at) == (day(1), day(3), day(5))


def test_a_clock_is_late_while_it_is_breached_and_still_runs():
    late = MONITOR.given(*CLASSIFIED, breached(noticed_at=midnight(3)))
    assert [each.late for each in late.state.own.clocks] == [False, True]
    ended = MONITOR.given(*late.happened, met(day(5), in_time=False))
    assert [each.late for each in ended.state.own.clocks] == [False, False]
