"""What `redress redrive` and `redress parked` refuse before they ask any service, which records they mean, and how services that do not
answer are shown."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from redress_cli.held import RecordFilter
from redress_cli.main import app
from redress_cli.subjects import named, number_in

COMPLAINT = "01890000-0000-7000-8000-000000000001"
TOPIC, TYPE = "complaints.lifecycle.v1", "redress.intake.complaint-chased.v1"
ROW = {"topic": TOPIC, "partition": 7, "offset": 4711, "reason": "fork", "type": TYPE}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([COMPLAINT], "Name a service, or say --all-services."),
        (["triage"], "Say what:"),
        (["triage", "handling", COMPLAINT], "Name one service and one record at most."),
        (["triage", COMPLAINT, "--skip"], "--skip needs --why"),
        (["triage", COMPLAINT, "--why", "forged"], "--why needs --skip"),
        (["triage", "nonsense"], "is none of these: a complaint's number or id, another subject's name"),
        (["triage", f"Complaint/{COMPLAINT}"], "is none of these: a complaint's number or id, another subject's name"),
        (["triage", COMPLAINT, "--skip", "--why", "called from 138 0000 0001"], "must not contain a phone number"),
        (["triage", COMPLAINT, "--skip", "--why", "wang@example.com wrote it"], "must not contain a phone number or an e-mail address"),
        (["triage", COMPLAINT, "--skip", "--why", "x" * 201], "has 201 characters, and may have 200"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_decision_says_where_what_and_why(words: list[str], said: str):
    refused = CliRunner().invoke(app, ["redrive", *words])
    assert refused.exit_code == 1
    assert said in " ".join(refused.stderr.split())


@pytest.mark.parametrize("typed", [COMPLAINT, COMPLAINT.upper(), f"complaint/{COMPLAINT}"])
def test_an_id_alone_is_a_complaints(typed: str):
    assert named(typed) == f"complaint/{COMPLAINT}"


def test_another_subject_is_named_with_its_kind():
    assert named(f"subscription/{COMPLAINT}") == f"subscription/{COMPLAINT}"


def test_every_condition_that_is_given_holds():
    assert RecordFilter().holds(ROW)
    assert RecordFilter(reason="fork", type=TYPE, place=(None, 7, 4711)).holds(ROW)
    assert RecordFilter(place=(TOPIC, 7, 4711)).holds(ROW)
    for other in (
        RecordFilter(reason="gap"),
        RecordFilter(type="redress.intake.complaint-chased.v2"),
        RecordFilter(place=(None, 7, 4712)),
        RecordFilter(place=(None, 8, 4711)),
        RecordFilter(place=("complaints.keys.v1", 7, 4711)),
        RecordFilter(reason="fork", type="redress.intake.complaint-chased.v2"),
    ):
        assert not other.holds(ROW)


@pytest.mark.parametrize(
    "typed", ["7K3M-9QX2-V0T", "7k3m9qx2v0t", "7K3M 9QX2 V0T", "\uff17K3M\uff0d9QX2\uff0dV0T", "7K3M\u20139QX2\u2013V0T"]
)
def test_a_number_is_one_however_it_was_typed(typed: str):
    assert (number_in(typed) or "").upper() == "7K3M9QX2V0T"


@pytest.mark.parametrize("typed", [COMPLAINT, f"subscription/{COMPLAINT}", "7:4711", "nonsense", "7K3M-9QX2-V0", "", "7K3M-9QX2-V0T!"])
def test_what_is_no_number_is_not_looked_up_as_one(typed: str):
    assert number_in(typed) is None


HELD = ROW | {"subject": f"complaint/{COMPLAINT}", "records": 2, "since": "2026-02-13T09:00:00Z", "detail": "Two follow version 1."}
ANSWERS: dict[str, Any] = {
    "/intake/ops/parked": {"parked": [HELD], "dead_letters": []},
    "/triage/ops/parked": {"parked": [], "dead_letters": []},
    "/intake/complaints/by-number/7k3m9qx2v0t": {"id": COMPLAINT},
    "/intake/ops/effects": [],
    "/triage/ops/effects": [],
}


class Services(http.server.BaseHTTPRequestHandler):
    """Those whose answers are told; who is asked for another stands still until the test ends."""

    released = threading.Event()
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(self.path)
        if path not in ANSWERS and "/handling/" in path:
            self.released.wait(300)
            return
        body = json.dumps(ANSWERS.get(path, {"detail": "There is no such thing."})).encode()
        self.send_response(200 if path in ANSWERS else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def frozen_handling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A context of intake and triage, which answer, and of handling, which takes connections and says nothing. What was asked."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("REDRESS_CONTEXT", "REDRESS_STACK", "SERVICE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text("token")
    Services.released, Services.asked = threading.Event(), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    words = ["context", "add", "frozen", "--token-file", str(tmp_path / "token")]
    for service in ("intake", "triage", "handling"):
        words += ["--url", f"{service}=http://127.0.0.1:{server.server_port}/{service}"]
    assert CliRunner().invoke(app, words).exit_code == 0
    monkeypatch.setattr("redress_cli.parked.SHORT", 1.0)
    monkeypatch.setattr("redress_cli.effects.SHORT", 1.0)
    yield Services.asked
    Services.released.set()
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("frozen_handling")
def test_one_service_that_stands_still_hides_nothing_of_the_others():
    shown = CliRunner().invoke(app, ["parked"])
    text = " ".join(shown.output.split())
    assert shown.exit_code == 1
    assert f"complaint/{COMPLAINT}" in text and "triage: nothing is parked or set aside." in text
    assert "handling does not answer at http://" in text and "What handling holds is not known. The others are shown." in text
    found = json.loads(CliRunner().invoke(app, ["parked", "--json"]).stdout)
    assert list(found) == ["intake", "triage", "handling"]
    assert len(found["intake"]["parked"]) == 1 and found["handling"].keys() == {"error"}
    effects = CliRunner().invoke(app, ["effects"])
    assert effects.exit_code == 1 and "handling does not answer at" in " ".join(effects.output.split())


def test_a_parked_complaint_is_shown_by_its_number_too(frozen_handling: list[str]):
    CliRunner().invoke(app, ["parked", "--show", "7k3m-9qx2-v0t"])
    assert any(f"/ops/record?subject=complaint%2F{COMPLAINT}" in path for path in frozen_handling)
    unknown = CliRunner().invoke(app, ["redrive", "triage", "7K3M-9QX2-V00"])
    assert unknown.exit_code == 1 and "There is no complaint 7K3M-9QX2-V00." in unknown.stderr
