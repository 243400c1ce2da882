"""What a step from one state to another does to rows and counts, and what a projection may be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spine_stack import INTAKE_AGGREGATE, TOYS, Observed, Own, Toy, registered

from redress_events.contracts import INTAKE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_spine.aggregate import Count, Projection
from redress_spine.processing.projections import NotProjected, changes, check, shows_own, with_commit
from redress_spine.testing import Spec

OBSERVED = st.builds(Observed, text=st.none() | st.just("t"), chases=st.integers(0, 2), opened=st.integers(0, 2))
OWN = st.builds(Own, number=st.none() | st.sampled_from("XY"), chases=st.integers(0, 2), opened=st.integers(0, 2))
STATES = st.lists(st.tuples(OBSERVED, OWN), min_size=1, max_size=6)
NOTHING = (Observed(), Own())
intake = Spec(INTAKE, INTAKE_AGGREGATE)


@given(st.dictionaries(st.sampled_from("abc"), STATES, min_size=1))
def test_however_a_subject_came_there_its_rows_are_those_of_its_state(ways: dict[str, list[tuple[Observed, Own]]]):
    """Step by step, or at once as in a rebuild: the same rows, the same counts."""

    def written(steps: dict[str, list[tuple[Observed, Own]]]) -> tuple[dict[tuple[str, str], Any], dict[tuple[str, str], int]]:
        table: dict[tuple[str, str], Any] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for subject, states in steps.items():
            for before, after in zip([None, *states[:-1]], states, strict=True):
                found = changes(INTAKE_AGGREGATE, subject, before, after)
                for key in found.gone[TOYS]:
                    del table[key]
                table |= {(row[0], row[1]): row for row in found.came[TOYS]}
                counts.update(found.counts)
        return table, {key: n for key, n in counts.items() if n}

    assert written(ways) == written({subject: states[-1:] for subject, states in ways.items()})


@given(OBSERVED, OWN, OWN)
def test_a_command_that_changes_no_shown_field_changes_no_row_whatever_was_observed_meanwhile(observed: Observed, before: Own, after: Own):
    found = changes(INTAKE_AGGREGATE, "a", (observed, before), (observed, after))
    if not shows_own(INTAKE_AGGREGATE, before, after):
        assert not found.came and not found.gone and not found.moved
    assert shows_own(INTAKE_AGGREGATE, before, after) == ((before.number, before.opened) != (after.number, after.opened))


def test_given_events_the_rows_are_told():
    story = intake.given(registered(), CaseOpened(cycle=1, routing=1, department="d"), ComplaintChased(chase=1))
    assert story.shows(TOYS) == [{"what": "named", "n": 1, "name": "X"}, {"what": "opened", "n": 1, "name": "X"}]
    assert story.counts("stage") == {"opened"} and story.counts("other") == set()
    assert intake.given().shows(TOYS) == [] and intake.given().counts("stage") == set()


def raising(toy: Toy) -> list[Any]:
    raise KeyError("secret")


def test_what_a_projection_does_not_name_it_does_not_see():
    def chased(toy: Toy) -> list[Any]:
        return [("chased", toy.own.chases, None)] if toy.own.chases else []

    def shown(*names: str) -> list[Any]:
        aggregate = replace(INTAKE_AGGREGATE, projections=(Projection(TOYS, chased, ("text",), names),))
        return changes(aggregate, "a", None, (Observed(text="t"), Own(chases=2))).came[TOYS]

    assert shown("number") == [] and shown("chases") == [("a", "chased", 2, None)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (raising, "KeyError while projecting into toys"),
        (lambda toy: [("what", 1)], "has not 3 values"),
        (lambda toy: [("what", 1, None), ("what", 2, None)], "have the same key"),
    ],
)
def test_what_is_no_row_says_so_and_none_of_the_words(rows: Any, says: str):
    aggregate = replace(INTAKE_AGGREGATE, projections=(Projection(TOYS, lambda toy: rows(toy) if toy.observed.text else [], ("text",)),))
    check(aggregate)
    with pytest.raises(NotProjected, match=says) as error:
        changes(aggregate, "a", None, (Observed(text="secret"), Own()))
    assert "secret" not in str(error.value)
    with pytest.raises(NotProjected, match="KeyError while projecting into n"):
        changes(replace(INTAKE_AGGREGATE, projections=(Count("n", raising, ("text",)),)), "a", None, (Observed(text="secret"), Own()))


@pytest.mark.parametrize("each", [Projection(TOYS, lambda toy: [("what", 1, None)]), Count("n", lambda toy: ["n"])])
def test_a_subject_of_which_nothing_is_known_has_no_rows(each: Any):
    with pytest.raises(ValueError, match="nothing is known"):
        check(replace(INTAKE_AGGREGATE, projections=(each,)))


def test_a_commit_that_changes_no_rows_is_the_plain_one():
    assert with_commit("SELECT 1", 27, [(1, changes(INTAKE_AGGREGATE, "a", NOTHING, NOTHING))]) == ("SELECT 1", [])
