"""What handling makes of events, in whatever order its own and the others' came."""

from datetime import timedelta
from itertools import pairwise

import pytest

from redress_events.contracts import HANDLING
from redress_handling.domain.aggregate import AGGREGATE
from redress_handling.domain.case import Case, CaseStage
from redress_handling.domain.history import CHASES, SUPPLEMENTS
from redress_handling.domain.observed import Observed
from redress_handling.domain.observed import observe as fold_observed
from redress_handling.domain.own import CaseOutcome, Own
from redress_handling.domain.own import evolve as fold_own
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

handling = Spec(HANDLING, AGGREGATE)


def case(*happened: Happened) -> Case:
    state = handling.given(*happened).state
    assert isinstance(state, Case)
    return state


def test_nothing_is_known_at_first():
    state = case()
    assert (state.stage, state.department, state.queue, state.began_at, state.closed) == (CaseStage.NONE, None, None, None, False)


def test_the_customers_words_stay_references_and_later_ones_are_counted_and_listed():
    story = [registered(), supplemented(), chased(), chased(2).model_copy(update={"text": "intake/4/text"})]
    observed, history = case(*story).observed, listed(HANDLING, AGGREGATE, story)
    assert observed.registration is not None
    assert observed.registration.words == {"text": "intake/1/text", "phone": "intake/1/phone"}
    assert (observed.supplements, observed.supplemented_at, observed.chases, observed.chased_at) == (1, NOON, 2, NOON)
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
    codec, state = Codec(AGGREGATE), case(registered(), routed())
    observed, own = state.observed, state.own
    for cycle in range(1, 300):
        steps = [opened(cycle), accepted(cycle=cycle), *[contacted(cycle)] * 5, *[progressed(cycle)] * 5, rejected(cycle)]
        for event in steps:
            own = fold_own(own, event, NOON)
        for event in (supplemented(cycle), chased(cycle), dissatisfied(cycle), reopened(cycle + 1)):
            observed = fold_observed(observed, event, NOON)
    assert len(codec.dump_observed(observed)) + len(codec.dump_own(own)) < 1_500
    assert (own.contacts, own.reports, own.rejections, observed.supplements, observed.chases) == (5, 5, 298, 299, 299)


def test_a_case_goes_through_its_stages():
    story = [registered(), classified(), routed(), opened(), accepted(), contacted(), progressed(), resolved()]
    stages = [case(*story[:n]).stage for n in range(1, len(story) + 1)]
    assert stages == [*[CaseStage.NONE] * 3, CaseStage.OPEN, *[CaseStage.ACCEPTED] * 3, CaseStage.RESOLVED]
    assert all(earlier == later or list(CaseStage).index(earlier) < list(CaseStage).index(later) for earlier, later in pairwise(stages))


@pytest.mark.parametrize(("event", "stage"), [(rejected(), CaseStage.REJECTED), (cancelled(), CaseStage.CANCELLED)])
def test_a_case_may_end_otherwise(event, stage):
    assert case(routed(), opened(), accepted(), event).stage is stage


def test_a_transfer_moves_the_case_and_has_no_queue():
    state = case(routed(), opened(), accepted(), transferred("finance"))
    assert (state.department, state.queue, state.stage) == ("finance", None, CaseStage.OPEN)


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
    assert (state.handler, state.stage) == ("bob", CaseStage.ACCEPTED)


def test_a_new_cycle_starts_afresh_where_the_case_was():
    state = case(routed(), opened(), accepted(), contacted(), transferred("finance"), resolved(), dissatisfied(), reopened())
    assert state.stage is CaseStage.NONE
    state = case(routed(), opened(), accepted(), contacted(), transferred("finance"), resolved(), dissatisfied(), reopened(), opened(2))
    assert (state.stage, state.department, state.own.contacts, state.handler) == (CaseStage.OPEN, "finance", 0, None)
    assert (state.own.outcome, state.own.contacted_at) == (None, None)
    assert state.observed.answer is not None
    assert state.observed.answer.score == 2


def test_a_cycle_begins_with_the_complaint_or_with_its_reopening():
    assert case(registered()).began_at == RECEIVED
    assert case(registered(), (reopened(), NOON)).began_at == NOON


def test_what_came_back_or_is_major_is_urgent():
    urgencies = [case(*story).urgency for story in ([], [classified()], [reclassified("major")], [reclassified("major"), reopened(3)])]
    assert urgencies == [0, 0, 1, 3]


def test_a_complaint_is_closed_when_its_current_cycle_is():
    assert not case(routed(), reopened(2), closed(1)).closed
    assert case(routed(), reopened(2), closed(2)).closed


def test_events_that_do_not_concern_it_change_nothing():
    assert fold_observed(Observed(), opened(), NOON) == Observed()
    assert fold_own(Own(), registered(), NOON) == Own()


def test_an_outcome_keeps_what_was_said_as_references():
    outcome = case(routed(), opened(), resolved()).own.outcome
    words = {"cause": "handling/6/cause", "measures": "handling/6/measures"}
    assert outcome == CaseOutcome("resolved", 1, NOON, "technical_support", "radio planning", "phone", words)
