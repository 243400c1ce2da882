"""Who read what, as an auditor finds it: readings, refusals, a broken glass, a trail that somebody changed, and its export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live import SLOW, UNCLEAR, Live, eventually, ok
from typer.testing import CliRunner, Result

from redress_cli.main import app

HERE, OTHER = "technical_support", "finance"
PHONE = "13912345678"
REASON = "Ticket 4711: the customer waits at our counter."
HARM = "UPDATE public.audit SET record = replace(record, $1, $2) WHERE record LIKE '%' || $1 || '%' AND number = $3"


@pytest.fixture(scope="module")
def complaint(live: Live) -> str:
    registered = live.register(SLOW, customer="Li Wei", phone=PHONE)
    live.case(registered, HERE)
    return registered


def redress(live: Live, *words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words, "--folder", live.stack.folder])


def recorded(live: Live, service: str, *words: str) -> list[dict[str, Any]]:
    """The newest first."""
    result = redress(live, "list", service, *words, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_who_read_a_case_is_recorded_with_the_fields_that_were_shown(live: Live, complaint: str):
    case = ok(live.handler(HERE).get("handling", f"/cases/{complaint}"))
    (record, *_) = recorded(live, "handling", "--subject", f"complaint/{complaint}", "--kind", "reading")
    assert (record["who"], record["roles"], record["department"]) == (f"handler-{HERE}", ["handler"], HERE)
    assert (record["operation"], record["allowed"]) == ("GET /cases/{complaint}", {"handler": "own department"})
    assert record["address"] == "127.0.0.1"
    assert {"intake/1/text", "intake/1/phone", "intake/1/customer"} <= set(record["subjects"][f"complaint/{complaint}"])
    assert case["phone"] == PHONE
    assert not {PHONE, SLOW, "Li Wei"} & set(json.dumps(record, ensure_ascii=False).split('"')), "it names fields, not what is in them"

    ok(live.agent.post("intake", "/complaints/search", {"phone": PHONE}))
    (found, *_) = recorded(live, "intake", "--subject", f"complaint/{complaint}")
    assert (found["searched"], found["who"]) == ("phone", "agent-one")


def test_who_was_refused_is_recorded(live: Live, complaint: str):
    assert live.handler(OTHER).get("handling", f"/cases/{complaint}").status_code == 404
    (refused, *_) = recorded(live, "handling", "--subject", f"complaint/{complaint}", "--kind", "refusal")
    assert (refused["who"], refused["code"], refused["department"]) == (f"handler-{OTHER}", "out-of-reach", OTHER)

    assert live.api("bi").get("handling", f"/cases/{complaint}").status_code == 403
    (refused, *_) = recorded(live, "handling", "--who", "bi-one")
    assert (refused["code"], refused["operation"]) == ("wrong-role", "GET /cases/{complaint}")

    before = sum(each.get("count", 0) for each in recorded(live, "handling", "--kind", "refusal"))
    with live.http("handling", None) as nobody:
        assert {nobody.get("/cases").status_code for _ in range(5)} == {401}
    eventually(
        lambda: sum(each.get("count", 0) for each in recorded(live, "handling", "--kind", "refusal")) >= before + 5,
        "calls without a token are counted",
        within=120,
    )


def test_a_glass_is_broken_with_a_reason_and_by_a_handler_alone(live: Live, complaint: str):
    with live.http("handling", "handler", department=OTHER) as handler:
        path = f"/cases/{complaint}"
        assert handler.get(path, headers={"redress-break-glass": "because"}).status_code == 422
        assert ok(handler.get(path, headers={"redress-break-glass": REASON}))["phone"] == PHONE
        assert handler.get(path).status_code == 404
        step = handler.post(f"{path}/accept", headers={"redress-break-glass": REASON, "idempotency-key": "glass"})
        assert step.status_code == 404, "it lets read, and nothing else"
    (record,) = recorded(live, "handling", "--subject", f"complaint/{complaint}", "--kind", "break-glass")
    assert (record["who"], record["reason"], record["allowed"]) == (f"handler-{OTHER}", REASON, {"handler": "break glass"})
    assert 'redress_audit_records_total{kind="break-glass"} ' in live.page("handling", "/metrics").text
    assert set(REASON.split()) <= set(redress(live, "list", "handling", "--kind", "break-glass").stdout.split())


def test_what_somebody_changed_in_the_database_is_found(live: Live, complaint: str):
    ok(live.handler(HERE).get("handling", f"/cases/{complaint}"))
    assert redress(live, "verify").exit_code == 0
    rows = live.sql("handling", "SELECT writer, number FROM public.audit WHERE record LIKE $1 LIMIT 1", f'%"handler-{HERE}"%')
    writer, number = rows[0]["writer"], rows[0]["number"]
    live.sql("handling", HARM + " AND writer = $4", f"handler-{HERE}", "handler-nobody", number, writer)
    result = redress(live, "verify", "handling")
    assert (result.exit_code, "differs" in result.stdout) == (1, True)
    assert f"handling {writer} {number}: It was changed" in " ".join(result.stderr.split())
    live.sql("handling", HARM + " AND writer = $4", "handler-nobody", f"handler-{HERE}", number, writer)
    assert redress(live, "verify", "handling").exit_code == 0


def test_an_export_is_verified_by_itself_and_the_trail_against_it(live: Live, complaint: str, tmp_path: Path):
    ok(live.handler(HERE).get("handling", f"/cases/{complaint}"))
    lines = redress(live, "export", "handling").stdout_bytes
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines)
    records = [json.loads(json.loads(line)["record"]) for line in lines.splitlines()]
    assert {"begun", "reading", "refusal"} <= {each["kind"] for each in records}
    assert redress(live, "verify", "--file", str(file)).exit_code == 0
    assert redress(live, "verify", "handling", "--heads", str(file)).exit_code == 0
    file.write_bytes(b"\n".join(lines.splitlines()[1:]))
    assert redress(live, "verify", "--file", str(file)).exit_code == 1

    log = Path(live.stack.folder) / "logs" / "handling.log"
    assert b'"audit-head"' not in log.read_bytes() or redress(live, "verify", "handling", "--heads", str(log)).exit_code == 0


def test_what_is_young_is_not_taken_away(live: Live):
    result = redress(live, "prune", "handling", "--before", "2199-01-01", "--yes")
    assert (result.exit_code, "its chain may still grow" in " ".join(result.stderr.split())) == (1, True)
    assert redress(live, "prune", "handling", "--before", "2020-01-01", "--yes").exit_code == 0


def test_a_list_with_words_is_recorded_with_all_whose_words_it_shows(live: Live):
    unclear = live.register(UNCLEAR)
    eventually(lambda: any(each["id"] == unclear for each in live.agent.all("triage", "/reviews")), "a person is to review it")
    (record, *_) = recorded(live, "triage", "--subject", f"complaint/{unclear}")
    assert (record["who"], record["operation"]) == ("agent-one", "GET /reviews")
    assert all(fields == ["intake/1/text"] for fields in record["subjects"].values())
