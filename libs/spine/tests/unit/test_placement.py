"""Which department has a complaint, and who in it, in whatever order triage and handling are observed."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.handling import CaseOpened, CaseTransferred
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_events.placement import Accepted, Placement, placed


def routed(routing: int, department: str) -> ComplaintRouted:
    return ComplaintRouted(routing=routing, department=department, queue="any")


def opened(routing: int, department: str) -> CaseOpened:
    return CaseOpened(cycle=1, routing=routing, department=department)


def moved(routing: int, transfer: int, department: str) -> CaseTransferred:
    return CaseTransferred(cycle=1, routing=routing, transfer=transfer, department=department, reason="handling/1/reason")


def placement(*told: Event) -> Placement:
    return reduce(placed, told, Placement())


@pytest.mark.parametrize(
    ("told", "department"),
    [
        ([], None),
        ([routed(1, "network")], "network"),
        ([routed(1, "network"), opened(1, "network"), moved(1, 1, "finance")], "finance"),
        ([routed(1, "network"), moved(1, 1, "finance"), moved(1, 2, "network")], "network"),
        ([routed(1, "network"), moved(1, 1, "finance"), routed(2, "legal")], "legal"),
        ([moved(1, 1, "finance"), opened(2, "legal")], "legal"),  # the routing 2 is known later
        ([moved(2, 1, "finance"), routed(1, "network")], "finance"),
        ([routed(1, "network"), ComplaintClosed(cycle=1, reason="satisfied")], "network"),
    ],
)
def test_the_highest_routing_and_what_answers_it_hold(told: list[Event], department: str | None):
    assert placement(*told).department == department


def test_a_transfer_holds_while_its_routing_does():
    before = placement(routed(1, "network"), moved(1, 1, "finance"))
    assert before.transfer is not None
    after = placed(before, routed(2, "legal"))
    assert (after.routing, after.transfer) == (2, None)


ACCEPTED = Accepted(routing=1, transfer=0, handler="wang")


@pytest.mark.parametrize(
    ("told", "place", "handler"),
    [
        ([], (0, 0), None),
        ([routed(1, "network")], (1, 0), "wang"),
        ([routed(1, "network"), moved(1, 1, "finance")], (1, 1), None),
        ([routed(1, "network"), moved(1, 1, "finance"), routed(2, "network")], (2, 0), None),
        ([moved(1, 4, "finance"), routed(2, "network"), moved(2, 5, "finance")], (2, 5), None),
    ],
)
def test_whoever_accepted_it_has_it_where_they_did(told: list[Event], place: tuple[int, int], handler: str | None):
    assert (placement(*told).place, placement(*told).handler(ACCEPTED)) == (place, handler)


def test_nobody_has_what_nobody_accepted():
    assert placement(routed(1, "network")).handler(None) is None


BY_TRIAGE = [routed(1, "network"), routed(2, "legal"), routed(3, "network")]
BY_HANDLING = [opened(1, "network"), moved(1, 1, "finance"), opened(2, "legal"), moved(2, 2, "finance"), moved(2, 3, "billing")]


@given(triage=st.integers(0, 3), handling=st.integers(0, 5), data=st.data())
def test_it_does_not_matter_who_is_observed_first(triage: int, handling: int, data: st.DataObject):
    """Each service keeps its own order; between them there is none."""
    told: list[Event] = []
    waiting: list[list[Event]] = [[*BY_TRIAGE[:triage]], [*BY_HANDLING[:handling]]]
    while any(waiting):
        told.append(data.draw(st.sampled_from([each for each in waiting if each])).pop(0))
    assert placement(*told) == placement(*BY_TRIAGE[:triage], *BY_HANDLING[:handling])
