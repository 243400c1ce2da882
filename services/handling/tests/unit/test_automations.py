"""What handling does by itself: whether it does it is said by numbers, never by what came first."""

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import CaseCancelled, CaseOpened
from redress_handling.automations import CANCEL, OPEN
from redress_handling.domain.aggregate import AGGREGATE
from redress_handling.testing import accepted, closed, contacted, opened, registered, reopened, resolved, routed, transferred
from redress_spine.testing import Spec

handling = Spec(HANDLING, AGGREGATE)


def test_a_routed_complaint_gets_a_case():
    story = handling.given(registered(), routed()).when_due(OPEN)
    story.then(CaseOpened(cycle=1, routing=1, department="technical_support", urgency=0))
    story.after.when_due(OPEN).then_nothing()


def test_an_unrouted_one_gets_none():
    handling.given(registered()).when_due(OPEN).then_nothing()


def test_a_new_routing_moves_the_case_and_opens_none():
    handling.given(registered(), routed(), opened(), routed("finance", routing=2)).when_due(OPEN).then_nothing()


def test_a_reopened_complaint_goes_back_to_who_had_it_more_urgent():
    story = handling.given(registered(), routed(), opened(), transferred("finance"), resolved(), reopened())
    story.when_due(OPEN).then(CaseOpened(cycle=2, routing=1, department="finance", urgency=1))


def test_nothing_is_opened_in_a_closed_cycle():
    handling.given(registered(), closed(1), routed()).when_due(OPEN).then_nothing()
    handling.given(registered(), closed(1), routed(), reopened(2)).when_due(OPEN).then(
        CaseOpened(cycle=2, routing=1, department="technical_support", urgency=1)
    )


def test_a_case_whose_complaint_ended_is_cancelled_once():
    story = handling.given(registered(), routed(), opened(), accepted(), closed()).when_due(CANCEL)
    story.then(CaseCancelled(cycle=1, reason="withdrawn"))
    story.after.when_due(CANCEL).then_nothing()


def test_a_case_that_was_opened_before_the_end_was_learned_is_cancelled_too():
    handling.given(registered(), closed(), routed(), opened()).when_due(CANCEL).then(CaseCancelled(cycle=1, reason="withdrawn"))


def test_nothing_is_cancelled_that_is_over_or_not_begun_or_of_a_later_cycle():
    handling.given(registered(), routed(), closed()).when_due(CANCEL).then_nothing()
    handling.given(registered(), routed(), opened(), contacted(), resolved(), closed()).when_due(CANCEL).then_nothing()
    handling.given(registered(), routed(), opened(2), closed(1), reopened(2)).when_due(CANCEL).then_nothing()
