"""A fold that makes other rows of the same events needs another number: the golden log tells, by name, what is folded otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from golden_log import LIFE_FILES, Fold, digest_of, drift, folding, folds, numbers_in_force, recorded, refusals, remarks, stories
from lives import LIVES

from redress_events.contracts import CONTRACTS
from redress_events.contracts.callback import ComplaintReopened
from redress_events.contracts.handling import CaseRejected
from redress_events.event import Event
from redress_spine.messaging.envelope import decode

SERVICES = folding()
HANDLING = SERVICES["handling"]


def test_every_fold_makes_of_the_golden_log_what_is_recorded_for_its_number():
    now = folds(SERVICES.values(), numbers_in_force(SERVICES.values()))
    assert not refusals(recorded(), now), "\n".join(refusals(recorded(), now))
    assert not drift(recorded(), now), "\n".join(drift(recorded(), now))
    assert recorded().keys() == SERVICES.keys()


def test_the_golden_log_has_every_life_and_every_event():
    assert {path.stem for path in LIFE_FILES.glob("*.jsonl")} == set(LIVES), "run `make folds`, and commit what it writes"
    types = {decode(value).type for life in LIVES for value in stories()[life]}
    everything = {name: event for contract in CONTRACTS.values() for name, event in contract.by_type.items()}
    of_complaints = {name for name, event in everything.items() if event.decided_on == "complaint"}  # of each other one there are its forms
    assert types == of_complaints, "add a life to tests/walk/support/lives.py in which it happens, and run `make folds`"


def test_each_service_folds_something_of_each_life():
    for name, fold in recorded().items():
        assert fold.digests.keys() >= set(LIVES), name


def forgetting(fold: Callable[[Any, Event, datetime], Any], event: type[Event]) -> Callable[[Any, Event, datetime], Any]:
    """The same fold, which no longer looks at this event."""
    return lambda facet, happened, at: facet if isinstance(happened, event) else fold(facet, happened, at)


@pytest.mark.parametrize(
    ("change", "noticed_in"),
    [
        ({"observe": forgetting(HANDLING.aggregate.observe, ComplaintReopened)}, "not-solved-then-solved"),
        ({"evolve": forgetting(HANDLING.aggregate.evolve, CaseRejected)}, "rejected-and-never-reached"),
        ({"entries": lambda event, at: None}, "not-solved-then-solved"),
    ],
    ids=["observe", "evolve", "entries"],
)
def test_a_changed_fold_is_told_to_raise_its_number_and_then_to_be_recorded(change: dict[str, Any], noticed_in: str):
    changed = replace(HANDLING, aggregate=replace(HANDLING.aggregate, **change))
    number = recorded()["handling"].number
    before = folds([HANDLING], {"handling": number})
    same, raised = folds([changed], {"handling": number}), folds([changed], {"handling": number + 1})
    (message,) = refusals(before, same)
    assert f"Raise `fold` in services/handling/redress_handling/main.py to {number + 1}" in message and "make folds" in message
    assert same["handling"].digests[noticed_in] != before["handling"].digests[noticed_in]
    assert refusals(before, raised) == []
    assert "make folds" in drift(before, raised)[0]
    assert "otherwise" in remarks(before, raised)[0]


def test_a_number_that_was_raised_for_nothing_is_told():
    before = {"handling": recorded()["handling"]}
    raised = folds([HANDLING], {"handling": before["handling"].number + 1})
    assert "make folds" in drift(before, raised)[0]
    assert "folds every story as fold" in remarks(before, raised)[0]


def test_a_number_is_not_taken_back():
    before = {"handling": Fold(7, recorded()["handling"].digests)}
    assert "`fold` in services/handling/redress_handling/main.py to 7 or more" in refusals(before, {"handling": recorded()["handling"]})[0]


def test_a_row_on_the_way_counts_and_not_only_the_last():
    """Two events, of which the second hides what the first did: the digest still tells them apart."""
    life = stories()["passed-on"]
    transfers = [n for n, value in enumerate(life) if decode(value).type == "redress.handling.case-transferred.v1"]
    without = [value for n, value in enumerate(life) if n != transfers[0]]
    assert digest_of(HANDLING, life) != digest_of(HANDLING, without)
