"""What callback makes of events, in whatever order its own and the others' came."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.domain.closing import end
from redress_callback.domain.history import NOTES
from redress_callback.domain.observed import Observed
from redress_callback.domain.observed import observe as fold_observed
from redress_callback.domain.own import EndedCycle, Own, Satisfaction
from redress_callback.domain.own import evolve as fold_own
from redress_callback.domain.visit import Visit, VisitStage
from redress_callback.testing import (
    POLICY,
    annulled,
    answered,
    breached,
    chased,
    classified,
    closed,
    missed,
    reached,
    reclassified,
    registered,
    rejected,
    reopened,
    resolved,
    routed,
    scheduled,
    supplemented,
    transferred,
    withdrawn,
)
from redress_events.contracts import CALLBACK
from redress_spine.testing import NOON, Happened, Spec, listed

callback = Spec(CALLBACK, AGGREGATE)


def visit(*happened: Happened) -> Visit:
    state = callback.given(*happened).state
    assert isinstance(state, Visit)
    return state


@pytest.mark.parametrize(
    ("story", "stage"),
    [
        ([registered()], VisitStage.WAITING),
        ([registered(), resolved()], VisitStage.WAITING),
        ([registered(), resolved(), scheduled()], VisitStage.DUE),
        ([registered(), rejected(), scheduled(), missed(1), missed(2)], VisitStage.DUE),
        ([registered(), resolved(), scheduled(), missed(1), missed(2), missed(3)], VisitStage.UNREACHED),
        ([registered(), resolved(), scheduled(), withdrawn()], VisitStage.WAITING),
        ([registered(), resolved(), scheduled(), reached(), answered(), closed()], VisitStage.CLOSED),
        ([registered(), resolved(), scheduled(), reached(), answered(False), reopened()], VisitStage.WAITING),
        (
            [registered(), resolved(), scheduled(), missed(1), missed(2), missed(3), reached(4), answered(False), reopened()],
            VisitStage.WAITING,
        ),
    ],
)
def test_whose_turn_it_is(story, stage):
    assert visit(*story).stage is stage


def test_the_customer_is_called_by_the_first_date_and_then_not_before_the_next():
    at = NOON + timedelta(hours=5)
    assert visit(resolved()).visit_at is None
    assert visit(resolved(), scheduled()).visit_at == NOON + POLICY.first_attempt
    assert visit(resolved(), scheduled(), missed(1, at=at)).visit_at == at + POLICY.spacing
    assert visit(resolved(), scheduled(), missed(1), missed(2), missed(3)).visit_at is None


def test_who_said_something_since_is_to_be_called_at_once():
    at = NOON + timedelta(hours=5)
    unreached = [resolved(), scheduled(), missed(1), missed(2), missed(3)]
    spoke = visit(*unreached, (supplemented(), at))
    assert (spoke.stage, spoke.visit_at, spoke.said_since, spoke.unanswered) == (VisitStage.DUE, at, 1, True)
    assert visit(resolved(), scheduled(), (chased(), at)).visit_at == at, "before the first attempt was due"
    tried = visit(*unreached, (supplemented(), NOON), missed(4, said=1))
    assert (tried.stage, tried.said_since, tried.unanswered) == (VisitStage.UNREACHED, 1, False), (
        "it is counted on, and answered by an attempt"
    )


def test_words_that_the_department_knew_are_its_own():
    assert visit(chased(), supplemented(), resolved(said=2), scheduled()).visit_at == NOON + POLICY.first_attempt
    between = visit(chased(), resolved(said=0), scheduled())
    assert (between.said_since, between.unanswered) == (1, True), "said before the resolution, and not known to the department"
    again = visit(
        resolved(), scheduled(), chased(), reached(said=1), answered(False), reopened(), chased(2), resolved(2, said=2), scheduled(2)
    )
    assert (again.said_since, again.unanswered) == (0, False)


WORDS = st.lists(st.sampled_from([supplemented(), chased(), chased(text="intake/3/text")]), max_size=4)


@given(st.data(), WORDS, st.integers(0, 4), st.lists(st.integers(0, 4), max_size=4))
def test_whether_words_wait_is_the_same_in_whatever_order_the_sources_are_heard(data, words, known, attempts):
    """known: to the department; attempts: how much was known at each."""
    sources = [[registered(), *words], [resolved(said=known)], [scheduled(), *(missed(n, said=said) for n, said in enumerate(attempts, 1))]]
    turns = data.draw(st.permutations([n for n, events in enumerate(sources) for _ in events]))
    left = [list(events) for events in sources]
    shuffled, in_turn = visit(*(left[n].pop(0) for n in turns)), visit(*(event for events in sources for event in events))
    assert shuffled == in_turn
    assert shuffled.unanswered == (len(words) > max([known, *attempts[-1:]]))
    assert not (shuffled.unanswered and shuffled.stage is VisitStage.UNREACHED)


def test_what_handling_says_of_an_earlier_cycle_is_over():
    assert visit(resolved()).handled is not None
    assert visit(resolved(), scheduled(), reached(), answered(False), reopened()).handled is None
    again = visit(resolved(), scheduled(), reached(), answered(False), reopened(), rejected(2))
    assert again.handled and again.handled.outcome == "rejected"


def test_a_withdrawal_is_answered_by_its_number():
    assert visit(withdrawn()).withdrawn
    assert not visit(withdrawn(), closed(reason="withdrawn", withdrawal=1)).withdrawn
    assert not visit(closed(), withdrawn()).withdrawn, "it is closed already"


def test_a_reopened_visit_starts_afresh_and_counts_on():
    story = (resolved(), scheduled(), missed(1), reached(2, note="callback/4/note"), answered(False, 1), reopened())
    past = EndedCycle(1, tries=2, started_at=None, ended_at=NOON, answer=Satisfaction(False, 1))
    assert visit(*story).own == Own(cycle=2, scheduled=1, attempts=2, past=(past,))
    (note,) = listed(CALLBACK, AGGREGATE, story)[NOTES].entries
    assert note.data == {"cycle": 1, "attempt": 2, "reached": True, "words": "callback/4/note"}


def test_a_transfer_holds_for_the_routing_it_answers():
    assert visit(routed()).observed.department == "technical_support"
    assert visit(routed(), transferred("finance")).observed.department == "finance"
    assert visit(routed(), transferred("finance"), routed("consulting", routing=2)).observed.department == "consulting"


def test_a_proposed_class_is_not_yet_a_settled_one():
    later = NOON + timedelta(hours=1)
    assert visit((classified(review=True), NOON)).observed.classified_at is None
    assert visit((classified(review=True), NOON), (reclassified(), later)).observed.classified_at == later
    observed = visit((classified(), NOON), (reclassified(), later)).observed
    assert observed.classified_at == NOON
    assert observed.classification and observed.classification.category == "billing_dispute"


def test_breaches_are_a_set_without_the_annulled():
    observed = visit(breached("resolve", n=2), breached("classify"), breached("resolve", n=1), annulled("classify")).observed
    assert (observed.standing, observed.breaches) == (("resolve/1/1", "resolve/1/2"), ("resolve/1",))
    assert visit(breached(n=1), breached(n=2), annulled(n=1)).observed.breaches == ("resolve/1",)


def test_the_public_records_place_among_the_own_events_does_not_matter():
    story = callback.given(registered(), resolved(), scheduled(), breached())
    events = end(story.state, story.context, "satisfied", before=[reached(), answered()])
    *own, record = events
    orders = [order for order in permutations(events) if [event for event in order if event is not record] == own]
    assert len({visit(registered(), resolved(), scheduled(), *order).own for order in orders}) == 1


def test_events_that_do_not_concern_it_change_nothing():
    assert fold_observed(Observed(), scheduled(), NOON) == Observed()
    assert fold_own(Own(), registered(), NOON) == Own()
