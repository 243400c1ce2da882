"""What holds in every history: however own and foreign events interleave, the state is the same, and the way back from a wish is
closing."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from redress_events.contracts import INTAKE
from redress_events.contracts.callback import CallbackScheduled, ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseAccepted, CaseOpened, CaseTransferred, ProgressReported
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_spine.aggregate import CommandRejected, Context
from redress_spine.testing import NOON, folded

small = st.integers(1, 3)
departments = st.sampled_from(["finance", "technical-support"])
foreign = st.one_of(
    st.builds(ComplaintRouted, routing=small, department=departments, queue=st.just("q")),
    st.builds(CaseOpened, cycle=small, routing=small, department=departments),
    st.builds(CaseAccepted, cycle=small, handler=st.just("wang")),
    st.builds(ProgressReported, cycle=small, note=st.just("handling/1/note")),
    st.builds(CaseTransferred, cycle=small, routing=small, transfer=small, department=departments, reason=st.just("handling/1/reason")),
    st.builds(CallbackScheduled, cycle=small, outcome=st.just("resolved"), due_at=st.just(NOON)),
    st.builds(ComplaintReopened, cycle=small, urgency=small),
    st.builds(ComplaintClosed, cycle=small, reason=st.just("withdrawn"), withdrawal=small),
)
own = st.one_of(
    st.builds(ComplaintSupplemented, supplement=small, text=st.just("intake/2/text")),
    st.builds(ComplaintChased, chase=small),
    st.builds(ComplaintWithdrawn, withdrawal=small),
)
REGISTERED = ComplaintRegistered(number="0000-0000-000", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")


def timed(events: list[Event]) -> list[tuple[Event, datetime]]:
    return [(event, NOON + timedelta(minutes=n)) for n, event in enumerate(events)]


@given(st.lists(foreign, max_size=12), st.lists(own, max_size=6), st.randoms())
def test_any_interleaving_of_own_and_foreign_events_makes_the_same_state(others, ours, random):
    sides = [timed(others), timed([REGISTERED, *ours])]
    expected = folded(INTAKE, AGGREGATE, [*sides[1], *sides[0]])
    merged = []
    waiting = [list(side) for side in sides]
    while any(waiting):
        merged.append(random.choice([side for side in waiting if side]).pop(0))
    state = folded(INTAKE, AGGREGATE, merged)
    assert state == expected
    assert (state.stage, state.reached) == (expected.stage, expected.reached)


@given(st.lists(foreign, max_size=12), st.lists(own, max_size=6))
def test_after_a_wish_was_taken_down_it_is_pending_or_the_complaint_is_closed(others, ours):
    before = folded(INTAKE, AGGREGATE, timed([REGISTERED, *ours, *others]))
    try:
        events = withdraw(before, Withdraw(), Context(now=NOON, actor="tester"))
    except CommandRejected:
        assert before.closed
        return
    after = folded(INTAKE, AGGREGATE, timed([REGISTERED, *ours, *others, *events]))
    assert after.withdrawal_pending or after.own.withdrawal <= after.observed.withdrawal
