"""The examples of the public record are examples: what they say of times, durations and clocks agrees, and their words are real ones."""

from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from redress_events.contracts.callback import ClosedComplaint
from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import Channel, ContactKind
from redress_sla_monitor.domain.deadline import business_seconds, compute_deadline
from redress_sla_monitor.domain.target import Target
from redress_sla_monitor.policies import calendars
from redress_triage.policies import in_force

FOLDER = Path(__file__).parents[2] / "schemas/golden/redress.callback.closed-complaint.v1"
FULL = FOLDER / "full-2.json"


def envelope(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def record(path: Path) -> ClosedComplaint:
    return ClosedComplaint.model_validate(envelope(path)["data"])


def seconds(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else int((end - start).total_seconds())


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_an_example_agrees_with_itself(path: Path):
    said = record(path)
    assert seconds(said.received_at, said.closed_at) == said.seconds_to_close
    assert said.seconds_to_resolve in (None, seconds(said.received_at, said.resolved_at))
    assert said.received_at <= said.registered_at <= said.closed_at == datetime.fromisoformat(envelope(path)["time"])
    assert (said.channel in get_args(Channel), said.kind in get_args(ContactKind)) == (True, True)
    assert not envelope(path)["actor"].startswith("agent:agent")


def test_its_categories_and_departments_are_those_of_the_policy():
    said, rules = record(FULL), in_force({})
    assert said.category in get_args(Category)
    assert said.severity in get_args(Severity)
    pairs = {(category, name) for category, entry in rules.taxonomy.categories.items() for name in entry.sub_categories}
    assert (said.category, said.sub_category) in pairs
    assert {said.department, said.first_department, *(each.department for each in said.per_cycle)} <= rules.table.departments.keys()


def test_its_cycles_follow_one_another_and_its_flat_fields_are_theirs():
    said = record(FULL)
    first, last = said.per_cycle
    assert (first.started_at, first.ended_at, last.ended_at) == (said.received_at, last.started_at, said.closed_at)
    for cycle in said.per_cycle:
        assert cycle.accepted_at and cycle.contacted_at and cycle.resolved_at
        assert cycle.started_at < cycle.accepted_at < cycle.contacted_at < cycle.resolved_at < cycle.ended_at
    assert (said.accepted_at, said.first_contacted_at) == (first.accepted_at, first.contacted_at)
    assert (said.first_department, said.first_outcome, said.first_resolved_at) == (first.department, first.outcome, first.resolved_at)
    assert (said.first_solved, said.first_satisfaction) == (first.solved, first.satisfaction)
    assert (said.department, said.outcome, said.resolved_at) == (last.department, last.outcome, last.resolved_at)
    assert (said.solved, said.satisfaction, said.cycles) == (last.solved, last.satisfaction, last.cycle)
    assert said.attempts == first.attempts + last.attempts
    assert said.seconds_to_first_resolve == seconds(said.received_at, first.resolved_at)
    assert said.breaches == tuple(f"{clock}/{cycle.cycle}" for cycle in said.per_cycle for clock in cycle.breaches)


def test_its_clocks_are_as_the_calendar_computes_them():
    said, calendar = record(FULL), calendars()["china@1"]
    starts = {cycle.cycle: cycle.started_at for cycle in said.per_cycle}
    met = {("classify", 1): said.classified_at} | {("resolve", cycle.cycle): cycle.resolved_at for cycle in said.per_cycle}
    assert [(each.clock, each.cycle) for each in said.clocks] == list(met)
    for clock in said.clocks:
        assert clock.deadline == compute_deadline(starts[clock.cycle], Target.parse(clock.target), calendar).deadline
        assert clock.met_at == met[clock.clock, clock.cycle]
        assert clock.met_at is not None and clock.business_seconds_left is not None
        assert clock.business_seconds_left == business_seconds(clock.met_at, clock.deadline, calendar)
        assert clock.breached == (clock.business_seconds_left < 0) == (f"{clock.clock}/{clock.cycle}" in said.breaches)
