"""What holds in every history: in any order of own and foreign events, told twice, asleep or awake."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from redress_events.contracts import SLA_MONITOR
from redress_events.event import Event
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.domain.breach import breach
from redress_sla_monitor.domain.policy import PolicyInForce
from redress_sla_monitor.domain.settle import settle
from redress_sla_monitor.domain.start import start
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Context
from redress_spine.testing import folded

Step = tuple[Event | str, datetime]
Told = list[tuple[Event, datetime]]
LATER = datetime(2026, 4, 1, tzinfo=UTC)
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
AUTOMATIONS = ("start", "settle", "breach")


def decide(automation: str, watch: Watch, now: datetime, rules: PolicyInForce) -> list[Event]:
    context = Context(now=now, actor="timer")
    match automation:
        case "start":
            return start(watch, context, rules)
        case "settle":
            return settle(watch, context, rules)
        case _:
            return breach(watch, context)


def live(steps: Sequence[Step], rules: PolicyInForce) -> Told:
    """All events, foreign and own, in the order in which sla-monitor came to them."""
    told: Told = []
    for step, at in steps:
        new = [step] if isinstance(step, Event) else decide(step, folded(SLA_MONITOR, AGGREGATE, told), at, rules)
        told += [(event, at) for event in new]
    return told


@UNHURRIED
@given(data=st.data())
def test_work_ends_what_made_it_due(data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    told = live(data.draw(histories), rules)
    now = data.draw(st.sampled_from([at for _, at in told] or [LATER]))
    for automation in AUTOMATIONS:
        events = decide(automation, folded(SLA_MONITOR, AGGREGATE, told), now, rules)
        told += [(event, now) for event in events]
        assert decide(automation, folded(SLA_MONITOR, AGGREGATE, told), now, rules) == []


@UNHURRIED
@given(data=st.data())
def test_own_and_foreign_events_interleave_in_any_way(data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    told = live(data.draw(histories), rules)
    own = [item for item in told if type(item[0]) in SLA_MONITOR.type_of]
    foreign = [item for item in told if type(item[0]) not in SLA_MONITOR.type_of]
    mixed: Told = []
    left, right = list(own), list(foreign)
    while left or right:
        side = left if left and (not right or data.draw(st.booleans())) else right
        mixed.append(side.pop(0))
    assert folded(SLA_MONITOR, AGGREGATE, mixed) == folded(SLA_MONITOR, AGGREGATE, told)


@UNHURRIED
@given(data=st.data())
def test_the_state_survives_its_store(data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    watch = folded(SLA_MONITOR, AGGREGATE, live(data.draw(histories), rules))
    for facet in (watch.observed, watch.own):
        adapter: TypeAdapter[Any] = TypeAdapter(type(facet))
        assert adapter.validate_json(adapter.dump_json(facet, exclude_defaults=True)) == facet


@UNHURRIED
@given(data=st.data())
def test_a_verdict_is_said_once_and_annulled_is_final(data: st.DataObject, histories: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    told = live(data.draw(histories), rules)
    said = [(type(event).__name__, getattr(event, "clock", ""), getattr(event, "cycle", 0), getattr(event, "n", 0)) for event, _ in told]
    verdicts = [each for each in said if each[0] in ("ClockStarted", "ClockMet", "ClockCancelled", "DeadlineBreached", "BreachAnnulled")]
    assert len(verdicts) == len(set(verdicts))
    annulled = [each[1:] for each in said if each[0] == "BreachAnnulled"]
    assert all(said.index(("DeadlineBreached", *each)) < said.index(("BreachAnnulled", *each)) for each in annulled)


@UNHURRIED
@given(data=st.data())
def test_who_slept_through_it_says_the_same(data: st.DataObject, journeys: st.SearchStrategy[list[Step]], rules: PolicyInForce):
    journey = data.draw(journeys)
    end = journey[-1][1] + timedelta(days=1)
    awake: list[Step] = []
    for event, at in journey:
        awake += [("breach", at), (event, at), ("start", at), ("settle", at)]
    night: list[Step] = [("start", end), ("settle", end), ("breach", end)]
    watched = folded(SLA_MONITOR, AGGREGATE, live([*awake, *night], rules))
    slept = folded(SLA_MONITOR, AGGREGATE, live([*journey, *night], rules))
    assert set(slept.own.clocks) == set(watched.own.clocks)
