"""Three weeks of complaints on the stepping clock, by one process of each service and by two: the same events to the microsecond, and a
breach that nobody asked for; and the clock goes only where it may."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import pytest
from live import Live, ok, problem
from typer.testing import CliRunner, Result

from redress_callback.policies import in_force
from redress_cli.actors import Actors
from redress_cli.clock import stepper
from redress_cli.demo import as_told
from redress_cli.main import app
from redress_cli.runner import run_scenario
from redress_cli.scenario import START, Story, local
from redress_local.processes import StartFailed
from redress_local.system import System
from redress_spine.messaging.log_end import MARGIN

CLOSED_RECORD = "redress.callback.closed-complaint.v1"
PSEUDONYM = re.compile(r"~.*")
PLAYED_WITHIN = 300.0  # seconds for three weeks; about 15 on a machine that does nothing else


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def redress(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def stepping(folder: Path, replicas: int) -> System:
    return System(folder, replicas=replicas, settle_seconds=0.5, clock="stepping", at=START)


def described(live: Live, stories: dict[str, Story]) -> dict[str, list[tuple[str, ...]]]:
    """Each story's events: when, by whom, what. Ids, numbers, pseudonyms and what is sealed are entropy; within one instant services and
    loops work side by side, so its events are sorted, and a public record counts as it was published last: how often that was depends on
    whether callback or sla-monitor was first."""
    names = {complaint: story.name for complaint, story in stories.items()}
    found: dict[str, list[tuple[str, ...]]] = {name: [] for name in names.values()}
    published: dict[str, tuple[str, ...]] = {}
    for event in live.log():
        name = names[event.subject.partition("/")[2]]
        data = {field: plain(field, value, names) for field, value in event.data.items()}
        said = (event.time.isoformat(), event.source, event.type, PSEUDONYM.sub("~", event.actor), json.dumps(data, sort_keys=True))
        if event.type == CLOSED_RECORD:
            published[name] = said
        else:
            found[name].append(said)
    return {name: sorted([*events, published[name]] if name in published else events) for name, events in found.items()}


def plain(field: str, value: Any, names: dict[str, str]) -> Any:
    if field == "number":
        return "its number"
    if field == "revision":
        return "the last"
    if isinstance(value, str):
        return "sealed" if value.startswith("sealed:") else names.get(value, value)
    return value


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_weeks_pass_in_seconds_the_same_way_each_time(folder: Path):
    runs = []
    for name, replicas in (("one", 1), ("two", 2)):
        with stepping(folder / name, replicas) as system, closing(Live(system)) as live:
            began = monotonic()
            stories = run_scenario(system.stack(), 1)
            assert monotonic() - began < PLAYED_WITHIN
            as_told(Actors(system.stack()), stories)
            runs.append(described(live, stories))
            if name == "two":
                goes_only_where_it_may(live)
                live.verified()
    options: dict[str, Any]
    for options in ({"clock": "wall"}, {"at": START}):  # a folder keeps its kind of clock, and the clock its time
        with pytest.raises(StartFailed, match=r"made by a stepping clock|cannot go back"):
            System(folder / "two", **options).start()
    one, two = runs
    for name, events in one.items():
        assert events == two[name], name
    late = [event for events in one.values() for event in events if event[2].startswith("redress.sla-monitor.deadline-breached.")]
    # What happens at the deadline is in time, so the first late instant is a microsecond after it.
    noticed = {datetime.fromisoformat(event[0]) for event in late if '"resolve"' in event[4]}
    assert noticed == {local(3, 6) + timedelta(microseconds=1) + MARGIN}


def goes_only_where_it_may(live: Live) -> None:
    """By the command line, after the play."""
    where = "--folder", str(live.system.folder)
    shown = json.loads(redress("clock", "--json", *where).stdout)
    assert (shown["next"], shown["pending"]) == (None, [])
    refused = redress("clock", "--until", "2026-02-13", *where)
    assert refused.exit_code == 1
    assert "cannot go back" in refused.stderr
    assert json.loads(redress("clock", "--json", *where).stdout) == shown

    complaint = live.register(received_at=shown["clock"])
    assert redress("clock", "--next", *where).exit_code == 0  # nobody touches it: its deadline comes and goes
    clocks = ok(live.agent.get("sla-monitor", f"/complaints/{complaint}/clocks"))["clocks"]
    assert [clock["verdict"] for clock in clocks if clock["clock"] == "resolve"] == ["breached"]
    assert "Nothing is due any more" in redress("clock", "--to-end", *where).stdout

    live.system.stop_service("callback-2")
    silent = redress("clock", "--by", "1d", "--timeout", "1", *where)
    assert silent.exit_code == 1
    assert "callback-2 does not answer" in " ".join(silent.stderr.split())
    live.system.start_service("callback-2")


@pytest.mark.slow
def test_who_says_something_after_all_attempts_is_not_closed_as_unreachable_until_they_were_tried_anew(folder: Path):
    missed, policy = {"reached": False}, in_force()
    with stepping(folder, 1) as system, closing(Live(system)) as live:
        step, complaint = stepper(system.stack()), live.register()
        live.work(complaint, "technical_support")
        waiting = [live.visit(complaint, **missed) for _ in range(policy.attempts)][-1]
        give_up_at = datetime.fromisoformat(waiting["give_up_at"])
        step.until(give_up_at - timedelta(hours=1))
        ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "It is still broken."}))
        step.until(give_up_at + timedelta(days=9))
        assert live.view(complaint)["stage"] == "being-visited"
        (line,) = live.agent.all("callback", "/visits")
        assert (line["complaint"], line["stage"], line["said_since"]) == (complaint, "due", 1)
        waiting = [live.visit(complaint, **missed) for _ in range(policy.attempts)][-1]
        assert datetime.fromisoformat(waiting["give_up_at"]) == step.clock() + policy.give_up
        step.to_end()
        assert live.view(complaint)["closed_as"] == "unreachable"
        assert step.clock() - datetime.fromisoformat(waiting["give_up_at"]) < timedelta(seconds=1)
        live.verified()


def test_a_system_on_the_wall_clock_has_nothing_to_step(live: Live):
    refused = redress("clock", "--next", "--folder", str(live.system.folder))
    assert refused.exit_code == 1
    assert "uses the wall clock" in refused.stderr
    problem(live.page("intake", "/idle"), 404, "not-found")
