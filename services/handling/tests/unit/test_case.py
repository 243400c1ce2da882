"""What handling makes of facts, in whatever order its own and the others' came."""

from datetime import timedelta
from itertools import pairwise

import pytest

from redress_events.contracts import HANDLING
from redress_handling.domain.case import KIND, Case, Stage
from redress_handling.domain.done import Done, Outcome
from redress_handling.domain.done import did as fold_own
from redress_handling.domain.heard import Heard
from redress_handling.domain.heard import hear as fold_heard
from redress_handling.domain.history import CHASES, SUPPLEMENTS
from redress_handling.testing import (
    RECEIVED,
    accepted,
    cancelled,
    chased,
    classified,
    closed,
    contacted,
    dissatisfied,
    opened,
    progressed,
    reclassified,
    registered,
    rejected,
    reopened,
    resolved,
    routed,
    supplemented,
    transferred,
)
from redress_spine.store.states import Codec
from redress_spine.testing import NOON, Happened, Spec, listed

handling = Spec(HANDLING, KIND)


def case(*happened: Happened) -> Case:
    state = handling.given(*happened).state
    assert isinstance(state, Case)
    return state


def test_nothing_is_known_at_first():
    state = case()
    assert (state.stage, state.department, state.queue, state.began_at, state.closed) == (Stage.NONE, None, None, None, False)


def test_the_customers_words_stay_references_and_later_ones_are_counted_and_listed():
    story = [registered(), supplemented(), chased(), chased(2).model_copy(update={"text": "intake/4/text"})]
    heard, history = case(*story).heard, listed(HANDLING, KIND, story)
    assert heard.registration is not None
    assert heard.registration.words == {"text": "intake/1/text", "phone": "intake/1/phone"}
    assert (heard.supplements, heard.supplemented_at, heard.chases, heard.chased_at) == (1, NOON, 2, NOON)
    assert [entry.data["words"] for entry in history[SUPPLEMENTS].entries] == ["intake/2/text"]
    assert [entry.data["words"] for entry in history[CHASES].entries] == ["intake/4/text"], "a chase without words has no row"


def test_what_the_customer_said_since_the_case_ended_is_counted_apart():
    later = NOON + timedelta(hours=1)
    begun = case(registered(), supplemented(), (chased(), later), routed(), opened(), accepted())
    assert (begun.said_since, begun.said_at) == (2, later), "nobody has answered yet"
    ended: list[Happened] = [registered(), supplemented(), chased(), routed(), opened(), accepted(), contacted(), resolved(said=2)]
    assert (case(*ended).said_since, case(*ended).said_at) == (0, None)
    back: list[Happened] = [*ended, (supplemented(2), later), dissatisfied(), reopened(), opened(2)]
    assert [case(*back[:n]).said_since for n in (9, 12)] == [1, 1], "the next case begins with what was said since the last"
    assert case(*back).said_at == later


def test_a_case_that_comes_back_for_ever_stays_small():
    codec, state = Codec(KIND), case(registered(), routed())
    heard, done = state.heard, state.done
    for cycle in range(1, 300):
        steps = [opened(cycle), accepted(cycle=cycle), *[contacted(cycle)] * 5, *[progressed(cycle)] * 5, rejected(cycle)]
        for fact in steps:
            done = fold_own(done, fact, NOON)
        for fact in (supplemented(cycle), chased(cycle), dissatisfied(cycle), reopened(cycle + 1)):
            heard = fold_heard(heard, fact, NOON)
    assert len(codec.dump_heard(heard)) + len(codec.dump_done(done)) < 1_500
    assert (done.contacts, done.reports, done.rejections, heard.supplements, heard.chases) == (5, 5, 298, 299, 299)


def test_a_case_goes_through_its_stages():
    story = [registered(), classified(), routed(), opened(), accepted(), contacted(), progressed(), resolved()]
    stages = [case(*story[:n]).stage for n in range(1, len(story) + 1)]
    assert stages == [*[Stage.NONE] * 3, Stage.OPEN, *[Stage.ACCEPTED] * 3, Stage.RESOLVED]
    assert all(earlier == later or list(Stage).index(earlier) < list(Stage).index(later) for earlier, later in pairwise(stages))


@pytest.mark.parametrize(("fact", "stage"), [(rejected(), Stage.REJECTED), (cancelled(), Stage.CANCELLED)])
def test_a_case_may_end_otherwise(fact, stage):
    assert case(routed(), opened(), accepted(), fact).stage is stage


def test_a_transfer_moves_the_case_and_has_no_queue():
    state = case(routed(), opened(), accepted(), transferred("finance"))
    assert (state.department, state.queue, state.stage) == ("finance", None, Stage.OPEN)


def test_a_new_routing_beats_a_transfer_whichever_came_first():
    story = [opened(), transferred("finance", routing=1)]
    before = case(routed(), routed("consulting", routing=2), *story)
    after = case(routed(), *story, routed("consulting", routing=2))
    assert before == after
    assert (after.department, after.queue) == ("consulting", "network")


@pytest.mark.parametrize("moved", [routed("finance", routing=2), transferred("finance")])
def test_the_new_department_has_to_accept_again(moved):
    assert case(routed(), opened(), accepted(), moved).handler is None


def test_whoever_accepted_after_the_transfer_is_the_handler():
    state = case(routed(), opened(), transferred("finance"), accepted("bob", transfer=1))
    assert (state.handler, state.stage) == ("bob", Stage.ACCEPTED)


def test_a_new_cycle_starts_afresh_where_the_case_was():
    state = case(routed(), opened(), accepted(), contacted(), transferred("finance"), resolved(), dissatisfied(), reopened())
    assert state.stage is Stage.NONE
    state = case(routed(), opened(), accepted(), contacted(), transferred("finance"), resolved(), dissatisfied(), reopened(), opened(2))
    assert (state.stage, state.department, state.done.contacts, state.handler) == (Stage.OPEN, "finance", 0, None)
    assert (state.done.outcome, state.done.contacted_at) == (None, None)
    assert state.heard.answer is not None
    assert state.heard.answer.score == 2


def test_a_cycle_begins_with_the_complaint_or_with_its_reopening():
    assert case(registered()).began_at == RECEIVED
    assert case(registered(), (reopened(), NOON)).began_at == NOON


def test_what_came_back_or_is_major_is_urgent():
    urgencies = [case(*story).urgency for story in ([], [classified()], [reclassified("major")], [reclassified("major"), reopened(3)])]
    assert urgencies == [0, 0, 1, 3]


def test_a_complaint_is_closed_when_its_current_cycle_is():
    assert not case(routed(), reopened(2), closed(1)).closed
    assert case(routed(), reopened(2), closed(2)).closed


def test_facts_that_do_not_concern_it_change_nothing():
    assert fold_heard(Heard(), opened(), NOON) == Heard()
    assert fold_own(Done(), registered(), NOON) == Done()


def test_an_outcome_keeps_what_was_said_as_references():
    outcome = case(routed(), opened(), resolved()).done.outcome
    words = {"cause": "handling/6/cause", "measures": "handling/6/measures"}
    assert outcome == Outcome("resolved", 1, NOON, "technical_support", "radio planning", "phone", words)
