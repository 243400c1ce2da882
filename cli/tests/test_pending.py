"""Who really owes a complaint's next step: what intake knows from the log, together with what other services hold up, or do not say."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from redress_cli import log, pending
from redress_cli.api import NoAnswer
from redress_cli.main import app
from redress_cli.pending import Seen, owed

COMPLAINT = "01890000-0000-7000-8000-000000000001"
SINCE = "2026-02-13T09:00:00Z"
HELD: dict[str, Any] = {
    "subject": f"complaint/{COMPLAINT}",
    "records": 2,
    "since": "2026-02-13T10:00:00Z",
    "reason": "gap",
    "detail": "Version 3 is \x1b[2Jmissing.",
    "topic": "complaints.lifecycle.v1",
    "partition": 7,
    "offset": 4711,
}
NOTHING = Seen({}, {})


def item(owner: str, step: str, **more: Any) -> dict[str, Any]:
    return {"id": COMPLAINT, "number": "7K3M-9QX2-V0T", "stage": "routed", "cycle": 1, "owner": owner, "step": step, "since": SINCE} | more


def holds(service: str) -> dict[str, Seen]:
    return {"intake": NOTHING} | {service: Seen({HELD["subject"]: HELD}, {})}


@pytest.mark.parametrize(
    ("owner", "keeper"),
    [
        ("triage", "triage"),
        ("handling", "handling"),
        ("department:technical_support", "handling"),
        ("return-visit agents", "callback"),
        ("callback", "callback"),
    ],
)
def test_where_the_service_of_the_next_step_has_parked_it_operators_owe_it(owner: str, keeper: str):
    found = owed(item(owner, "open the case", stuck=True), holds(keeper), {})
    assert (found.owner, found.stuck) == ("operators", False)
    assert f"the record that {keeper} cannot fold" in found.step and "open the case" in found.step
    assert found.parked == [{"service": keeper, "since": HELD["since"], "reason": "gap", "detail": HELD["detail"]}]


def test_where_another_service_has_parked_it_the_owner_stays_and_it_is_said():
    found = owed(item("department:finance", "accept the case"), holds("sla-monitor"), {})
    assert (found.owner, [each["service"] for each in found.parked]) == ("department:finance", ["sla-monitor"])


def test_what_intake_has_parked_nobody_knows_the_next_step_of():
    found = owed(item("department:finance", "accept the case"), holds("intake"), {})
    assert found.owner == "operators" and "the next step is not known" in found.step


def test_what_waits_for_a_person_is_not_triages_own_and_not_stuck():
    seen = {"intake": NOTHING, "triage": Seen({}, {COMPLAINT: "2026-02-13T08:00:00Z"})}
    found = owed(item("triage", "classify and route it", stuck=True), seen, {})
    assert (found.owner, found.since, found.stuck) == ("triage reviewers", "2026-02-13T08:00:00Z", False)
    assert owed(item("triage", "classify and route it", stuck=True), {"intake": NOTHING}, {}).stuck


def test_a_service_that_does_not_answer_is_named_where_the_step_is_done_in_it():
    away = {"handling": "handling does not answer at http://127.0.0.1:1: ReadTimeout."}
    assert owed(item("department:finance", "accept the case"), {"intake": NOTHING}, away).silent == "handling"
    assert owed(item("handling", "open the case"), {"intake": NOTHING}, away).silent == "handling"
    assert owed(item("callback", "schedule the return visit"), {"intake": NOTHING}, away).silent is None


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each service tells; a message where it does not answer."""
    told: dict[str, Any] = {"intake": (NOTHING, [item("handling", "open the case", stuck=True)]), "triage": (NOTHING, [])}

    def asked(_: object, service: str) -> Any:
        if isinstance(told[service], str):
            raise NoAnswer(told[service])
        return told[service]

    where = SimpleNamespace(answering=lambda: list(told))
    monkeypatch.setattr(pending, "installation", lambda folder, context: where)
    monkeypatch.setattr(pending, "Api", lambda where, role, patience: None)
    monkeypatch.setattr(pending, "_asked", asked)
    monkeypatch.setattr(pending, "_behind", lambda api: [])
    return told


def test_a_frozen_service_is_named_as_who_owes_and_as_stuck(services: dict[str, Any]):
    shown = " ".join(CliRunner().invoke(app, ["pending"]).output.split())
    assert "handling" in shown and "open the case" in shown and "stuck" in shown
    services["handling"] = "handling does not answer at http://127.0.0.1:1: ReadTimeout."
    frozen = CliRunner().invoke(app, ["pending", "--json"])
    assert frozen.exit_code == 1, "its part is not known"
    assert [(each["owner"], each["stuck"], each["silent"]) for each in json.loads(frozen.stdout)] == [("handling", True, "handling")]
    assert "handling does not answer at" in frozen.stderr


def test_without_intake_nobody_knows_what_is_open(services: dict[str, Any]):
    services["intake"] = "intake does not answer at http://127.0.0.1:1: ConnectError."
    shown = CliRunner().invoke(app, ["pending"])
    assert shown.exit_code == 1 and "Without it the open complaints are not known." in " ".join(shown.stderr.split())


def test_what_others_wrote_steers_no_terminal(services: dict[str, Any]):
    steering = dict.fromkeys(("owner", "step", "stage", "number"), "\x1b[2J\x9b31m\u202e")
    services["intake"] = (Seen({HELD["subject"]: HELD}, {}), [item("triage", "x") | steering])
    shown = CliRunner().invoke(app, ["pending"]).output
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown) and "\\u001b[2J" in shown


def test_a_timeline_ends_with_where_it_is_parked_and_with_who_does_not_say(monkeypatch: pytest.MonkeyPatch):
    where = SimpleNamespace(urls={"intake": ["http://127.0.0.1:1"]}, has_kafka=False)
    monkeypatch.setattr(log, "installation", lambda folder, context: where)
    monkeypatch.setattr(log, "events_over_http", lambda *_, **__: [])
    monkeypatch.setattr(log, "_show_events", lambda *_: None)
    unsaid = ["Whether it is parked in handling is not known. handling does not answer."]
    monkeypatch.setattr(log, "parked_of", lambda where, subject: ({"triage": HELD}, unsaid))
    shown = CliRunner().invoke(app, ["timeline", COMPLAINT])
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "Parked in triage since 02-13" in text and "by complaints.lifecycle.v1/7@4711: gap: Version 3 is \\u001b[2Jmissing." in text
    assert unsaid[0] in " ".join(shown.stderr.split())
    line = json.loads(CliRunner().invoke(app, ["timeline", COMPLAINT, "--json"]).stdout)
    assert (line["parked_in"], line["reason"], line["record"]) == ("triage", "gap", "complaints.lifecycle.v1/7@4711")
