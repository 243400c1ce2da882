"""A fold that observes several services makes the same of their events in whatever order these come, if each one's own order is kept.

A log's order between sources is lost where it was restored from the journals. Numbers that events carry (cycle, routing, transfer) are what
a fold compares, never what came first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from golden_log import LIFE_FILES, stories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journey import Journey
from machines import CLEAR, VAGUE, Limits, Service, machines

from redress_events.contracts import CONTRACTS
from redress_events.contracts.handling import CaseTransferred
from redress_events.event import Event
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.records import as_folded
from redress_spine.testing import where_order_matters

SERVICES = machines(Limits(cycles=4, times=3, calls=3, talk=True))
LIVES = [path.stem for path in sorted(LIFE_FILES.glob("*.jsonl"))]
PAUSES = [timedelta(0), timedelta(minutes=20), timedelta(hours=9), timedelta(days=4)]
STEPS = st.lists(st.tuples(st.integers(0, 255), st.sampled_from([False] * 9 + [True]), st.sampled_from(PAUSES)), min_size=40, max_size=120)
ENDING = {"withdraw", "satisfied", "give-up"}

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def told(life: str) -> list[tuple[str, Event, datetime]]:
    envelopes = [decode(value) for value in stories()[life]]
    return [(each.source, as_folded(CONTRACTS[each.source].by_type[each.type], each)[0], each.time) for each in envelopes]


@each_service
@pytest.mark.parametrize("life", LIVES)
def test_a_whole_life_is_observed_the_same_in_any_order_of_its_sources(service: Service, life: str):
    mattered = where_order_matters(service.contract, service.aggregate, told(life))
    assert mattered is None, mattered


@each_service
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(text=st.sampled_from([CLEAR, VAGUE]), steps=STEPS)
def test_whatever_happens_is_observed_the_same_in_any_order_of_its_sources(
    service: Service, text: str, steps: list[tuple[int, bool, timedelta]]
):
    journey = Journey(SERVICES, text)
    for choice, ending, pause in steps:
        moves = [move for move in journey.moves() if ending or move.act is None or move.act.name not in ENDING]
        turned = choice % max(1, len(moves))
        next(filter(journey.make, moves[turned:] + moves[:turned]), None)  # the first that is not refused
        journey.pause(pause)
    log = [(SERVICES[n].name, event, at) for n, event, at in journey.log]
    mattered = where_order_matters(service.contract, service.aggregate, log)
    assert mattered is None, mattered


def test_the_law_notices_a_fold_that_goes_by_what_came_first():
    triage = next(each for each in SERVICES if each.name == "triage")

    def observe(observed: Any, event: Event, at: datetime) -> Any:
        """A transfer in whatever cycle was observed last: what intake once did."""
        observed = triage.aggregate.observe(observed, event, at)
        return replace(observed, number=f"transferred in {observed.cycle}") if isinstance(event, CaseTransferred) else observed

    careless = replace(triage.aggregate, observe=observe)
    message = where_order_matters(triage.contract, careless, told("passed-on"))
    assert message is not None and "CaseTransferred (handling)" in message and "number" in message
