"""When an effect is tried again, what a reactor is tested by, and which subjects are another service's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spine_log import Sent
from spine_outside import OPENING
from spine_stack import HANDLING_AGGREGATE, MAC, registered

from redress_events.contracts import CONTRACTS, HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.event import Contract, Event
from redress_spine.messaging.records import DeadLetter, Elsewhere, Reader
from redress_spine.processing.reactor import Effect, EffectAttempt, Retry
from redress_spine.testing import COMPLAINT, Spec

handling = Spec(HANDLING, HANDLING_AGGREGATE)
EFFECT = Effect("open 01890000-0000-7000-8000-000000000001", COMPLAINT, {"cycle": 1}, target="desk")
OPENED = CaseOpened(cycle=1, routing=1, department="network")
spans = st.timedeltas(timedelta(milliseconds=1), timedelta(days=2))


def test_what_is_wanted_and_what_is_said_of_it_is_a_story() -> None:
    handling.given(registered()).wants(OPENING, EFFECT).when_done(OPENING, EFFECT, department="network").then(OPENED)
    with pytest.raises(AssertionError):
        handling.given(registered()).wants(OPENING)
    assert handling.given(registered()).still_wants(OPENING, EFFECT)
    sorry = replace(OPENING, given_up=lambda state, effect, code, context: [OPENED.model_copy(update={"department": code})])
    handling.given(registered()).when_given_up(sorry, EFFECT).then(OPENED.model_copy(update={"department": "tried-too-long"}))


@given(spans, spans, st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_at_least_half_of_what_doubles_and_never_longer_than_the_longest(
    first: timedelta, longest: timedelta, attempt: int, entropy: float
) -> None:
    retry = Retry(first=first, longest=longest)
    delay = retry.delay(attempt, entropy)
    assert min(first, longest) / 2 <= delay <= longest
    assert retry.delay(attempt + 1, entropy) >= delay
    assert retry.delay(attempt, 0) <= delay


def test_delays_double_until_the_longest_and_jitter_takes_up_to_half_of_each() -> None:
    retry = Retry(first=timedelta(seconds=8), longest=timedelta(seconds=60))
    assert [retry.delay(n, 0).total_seconds() for n in (1, 2, 3, 4, 5)] == [4, 8, 16, 30, 30]
    assert retry.delay(1, 0.5) == timedelta(seconds=6)


def test_what_the_other_side_asks_for_is_waited_for_though_not_for_ever() -> None:
    retry = Retry(first=timedelta(seconds=8), longest=timedelta(seconds=60))
    assert retry.delay(1, 0, timedelta(seconds=30)) == timedelta(seconds=30)
    assert retry.delay(1, 0, timedelta(seconds=1)) == timedelta(seconds=4)
    assert retry.delay(1, 0, timedelta(days=300)) == timedelta(seconds=60)


@pytest.mark.parametrize(("attempt", "since", "over"), [(4, 0, False), (5, 0, True), (1, 59, False), (1, 60, True)])
def test_it_is_given_up_after_so_long_or_so_many_attempts(attempt: int, since: int, over: bool) -> None:
    assert Retry(give_up=timedelta(seconds=60), attempts=5).is_over(attempt, timedelta(seconds=since)) is over


class CommandMetadata:
    """A perform that is an object, as one with a client of its own is."""

    async def __call__(self, effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
        return {}


def test_only_what_is_no_coroutine_runs_beside_the_loop() -> None:
    assert not replace(OPENING, perform=CommandMetadata()).computes and not replace(OPENING, perform=CommandMetadata().__call__).computes
    assert replace(OPENING, perform=lambda effect, attempt: {}).computes


def test_a_lease_outlasts_its_effect() -> None:
    assert OPENING.lease > OPENING.timeout


class HookMade(Event):
    """An event of another kind of subject."""

    stream = "hook"
    decided_on = "hook"


HOOK = "hook/01890000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("key", "judged"),
    [(HOOK, Elsewhere), ("hook/7", DeadLetter), ("nail/01890000-0000-7000-8000-000000000001", DeadLetter)],
)
def test_subjects_of_a_kind_that_only_others_have_are_passed_over_and_those_of_nobody_are_not(key: str, judged: type) -> None:
    reader = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS | {"shop": Contract("shop", HookMade)}, 4, MAC)
    assert isinstance(reader.judge(Sent(key.encode(), b"{}", []).record()), judged)
    assert reader.is_elsewhere(key) is (judged is Elsewhere)
