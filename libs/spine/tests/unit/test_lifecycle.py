"""Which cycle a complaint is in, whether it is closed, and whether a wish to end it is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_events.lifecycle import Lifecycle, lived
from redress_spine.testing import NOON

State = TypeVar("State", bound=Lifecycle)


def reopened(cycle: int) -> ComplaintReopened:
    return ComplaintReopened(cycle=cycle, urgency=cycle - 1)


def closed(cycle: int) -> ComplaintClosed:
    return ComplaintClosed(cycle=cycle, reason="satisfied")


def lifecycle(*told: Event) -> Lifecycle:
    return after(told, Lifecycle())


def after(told: Iterable[Event], state: State) -> State:
    """Each event an hour after the one before."""
    return reduce(lambda known, n_event: lived(known, n_event[1], NOON + n_event[0] * timedelta(hours=1)), enumerate(told), state)


@pytest.mark.parametrize(
    ("told", "cycle", "is_closed"),
    [
        ([], 1, False),
        ([reopened(2)], 2, False),
        ([closed(1)], 1, True),
        ([reopened(2), closed(2)], 2, True),
        ([reopened(2), closed(1)], 2, False),  # an earlier cycle's end ends nothing
        ([closed(2), reopened(2)], 2, True),
        ([reopened(3), reopened(2)], 3, False),
        ([ComplaintRouted(routing=1, department="network", queue="any")], 1, False),
    ],
)
def test_the_latest_cycle_is_closed_or_open(told: list[Event], cycle: int, is_closed: bool):
    assert (lifecycle(*told).cycle, lifecycle(*told).is_closed) == (cycle, is_closed)


def test_with_a_cycle_all_before_it_are_closed():
    found = lifecycle(reopened(2), reopened(3), closed(2))
    assert [found.has_closed(cycle) for cycle in (1, 2, 3)] == [True, True, False]


@given(told=st.permutations([reopened(2), reopened(3), closed(2), closed(3)]))
def test_numbers_count_and_no_order(told: list[Event]):
    found = lifecycle(*told)
    assert (found.cycle, found.closed) == (3, 3)
    assert found.ended_at == NOON + told.index(closed(3)) * timedelta(hours=1)


def test_it_ended_when_its_latest_cycle_was_closed():
    assert lifecycle().ended_at is lifecycle(closed(1), reopened(2)).ended_at is None
    assert lifecycle(closed(1)).ended_at == NOON
    assert lifecycle(closed(1), reopened(2), closed(2), closed(1)).ended_at == NOON + timedelta(hours=2)


@pytest.mark.parametrize(
    ("told", "wished", "answered", "awaits"),
    [
        ([], 0, 0, False),
        ([], 1, 0, True),
        ([], 1, 1, False),
        ([], 2, 1, True),
        ([closed(1)], 1, 0, False),
        ([closed(1), reopened(2)], 1, 0, True),
    ],
)
def test_a_wish_to_end_it_waits_while_it_is_open_and_unanswered(told: list[Event], wished: int, answered: int, awaits: bool):
    assert lifecycle(*told).awaits_withdrawal(wished, answered) is awaits


@dataclass(frozen=True, slots=True)
class Toy(Lifecycle):
    kept: str = ""


def test_a_state_that_derives_from_it_keeps_all_else():
    assert after((reopened(2), closed(2)), Toy(kept="this")) == Toy(cycle=2, closed=2, closed_at=NOON + timedelta(hours=1), kept="this")
