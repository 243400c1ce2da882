"""What `redress redrive` and `redress parked` refuse before they ask any service, and which records they mean."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from redress_cli.main import app
from redress_cli.parked import RecordFilter, subject_of

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
        (["triage", "nonsense"], "is none of these: a complaint's id, another subject's name"),
        (["triage", f"Complaint/{COMPLAINT}"], "is none of these: a complaint's id, another subject's name"),
        (["triage", COMPLAINT, "--skip", "--why", "called from 138 0000 0001"], "must not hold a phone number"),
        (["triage", COMPLAINT, "--skip", "--why", "wang@example.com wrote it"], "must not hold a phone number or an e-mail address"),
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
    assert subject_of(typed) == f"complaint/{COMPLAINT}"


def test_another_subject_is_named_with_its_kind():
    assert subject_of(f"subscription/{COMPLAINT}") == f"subscription/{COMPLAINT}"


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
