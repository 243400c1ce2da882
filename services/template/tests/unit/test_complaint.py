"""What template makes of the facts that reach it."""

from redress_events.contracts import TEMPLATE
from redress_events.contracts.callback import ComplaintClosed
from redress_spine.testing import NOON, Spec
from redress_template.domain.complaint import KIND, Complaint
from redress_template.domain.done import Done, did
from redress_template.domain.heard import Heard, hear
from redress_template.testing import RECEIVED, registered

stories = Spec(TEMPLATE, KIND)


def test_a_registered_complaint_is_known():
    assert stories.given(registered()).state == Complaint(Heard(number="7G2K-9QXR-4M", received_at=RECEIVED))


def test_facts_that_do_not_concern_it_change_nothing():
    closed = ComplaintClosed(cycle=1, reason="satisfied")
    assert hear(Heard(), closed, NOON) == Heard()
    assert did(Done(), closed, NOON) == Done()
