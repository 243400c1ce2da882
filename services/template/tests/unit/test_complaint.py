"""What template makes of the events that reach it."""

from redress_events.contracts import TEMPLATE
from redress_events.contracts.callback import CallbackScheduled
from redress_spine.testing import NOON, Spec
from redress_template.domain.aggregate import AGGREGATE
from redress_template.domain.complaint import Complaint
from redress_template.domain.observed import Observed, observe
from redress_template.domain.own import Own, evolve
from redress_template.testing import RECEIVED, registered

stories = Spec(TEMPLATE, AGGREGATE)


def test_a_registered_complaint_is_known():
    assert stories.given(registered()).state == Complaint(Observed(number="7G2K-9QXR-4M", received_at=RECEIVED))


def test_events_that_do_not_concern_it_change_nothing():
    scheduled = CallbackScheduled(cycle=1, outcome="resolved", due_at=NOON)
    assert observe(Observed(), scheduled, NOON) == Observed()
    assert evolve(Own(), scheduled, NOON) == Own()
