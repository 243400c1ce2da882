"""What callback makes of facts, in whatever order its own and the others' came."""

from datetime import timedelta
from itertools import permutations

import pytest

from redress_callback.domain.closing import end
from redress_callback.domain.done import Done
from redress_callback.domain.done import did as fold_own
from redress_callback.domain.heard import Heard
from redress_callback.domain.heard import hear as fold_heard
from redress_callback.domain.history import NOTES
from redress_callback.domain.visit import KIND, Stage, Visit
from redress_callback.testing import (
    POLICY,
    annulled,
    answered,
    breached,
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
    transferred,
    withdrawn,
)
from redress_events.contracts import CALLBACK
from redress_events.testing import NOON, Happened, Spec, listed

callback = Spec(CALLBACK, KIND)


def visit(*happened: Happened) -> Visit:
    state = callback.given(*happened).state
    assert isinstance(state, Visit)
    return state


@pytest.mark.parametrize(
    ("story", "stage"),
    [
        ([registered()], Stage.WAITING),
        ([registered(), resolved()], Stage.WAITING),
        ([registered(), resolved(), scheduled()], Stage.DUE),
        ([registered(), rejected(), scheduled(), missed(1), missed(2)], Stage.DUE),
        ([registered(), resolved(), scheduled(), missed(1), missed(2), missed(3)], Stage.UNREACHED),
        ([registered(), resolved(), scheduled(), withdrawn()], Stage.WAITING),
        ([registered(), resolved(), scheduled(), reached(), answered(), closed()], Stage.CLOSED),
        ([registered(), resolved(), scheduled(), reached(), answered(False), reopened()], Stage.WAITING),
        ([registered(), resolved(), scheduled(), missed(1), missed(2), missed(3), reached(4), answered(False), reopened()], Stage.WAITING),
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
    assert visit(*story).done == Done(cycle=2, scheduled=1, attempts=2)
    (note,) = listed(CALLBACK, KIND, story)[NOTES].entries
    assert note.data == {"cycle": 1, "attempt": 2, "reached": True, "words": "callback/4/note"}


def test_a_transfer_holds_for_the_routing_it_answers():
    assert visit(routed()).heard.department == "technical_support"
    assert visit(routed(), transferred("finance")).heard.department == "finance"
    assert visit(routed(), transferred("finance"), routed("consulting", routing=2)).heard.department == "consulting"


def test_a_proposed_class_is_not_yet_a_settled_one():
    later = NOON + timedelta(hours=1)
    assert visit((classified(review=True), NOON)).heard.classified_at is None
    assert visit((classified(review=True), NOON), (reclassified(), later)).heard.classified_at == later
    heard = visit((classified(), NOON), (reclassified(), later)).heard
    assert heard.classified_at == NOON
    assert heard.classification and heard.classification.category == "billing_dispute"


def test_breaches_are_a_set_without_the_annulled():
    heard = visit(breached("resolve", n=2), breached("classify"), breached("resolve", n=1), annulled("classify")).heard
    assert (heard.standing, heard.breaches) == (("resolve/1/1", "resolve/1/2"), ("resolve/1",))
    assert visit(breached(n=1), breached(n=2), annulled(n=1)).heard.breaches == ("resolve/1",)


def test_the_public_records_place_among_the_own_facts_does_not_matter():
    story = callback.given(registered(), resolved(), scheduled(), breached())
    facts = end(story.state, story.context, "satisfied", before=[reached(), answered()])
    *own, record = facts
    orders = [order for order in permutations(facts) if [fact for fact in order if fact is not record] == own]
    assert len({visit(registered(), resolved(), scheduled(), *order).done for order in orders}) == 1


def test_facts_that_do_not_concern_it_change_nothing():
    assert fold_heard(Heard(), scheduled(), NOON) == Heard()
    assert fold_own(Done(), registered(), NOON) == Done()
