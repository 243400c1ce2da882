"""Nothing that another person wrote steers the terminal of who reads it, and nothing of theirs looks like a line of ours."""

from __future__ import annotations

import ast
import io
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

import redress_cli
from redress_cli import log, parked
from redress_cli.harmless import HarmlessConsole, foreign, harmless
from redress_cli.log import line, timeline_table
from redress_cli.main import app
from redress_spine.messaging.envelope import Envelope

STEERING = {
    "a window's title": "\x1b]0;owned\x07",
    "colours by C1": "\x9b31m",
    "back over what stands there": "all is well\b\b\b\b\r",
    "read from the right": "\u202egnp.exe",
    "isolated": "\u2066a\u2069",
    "another line": "one\u2028two",
    "half of a pair": "\ud800",
    "a tag that nobody sees": "\U000e0041",
    "a soft hyphen": "bill\u00ading",
}


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_what_steers_a_terminal_is_written_as_json_writes_it(text: str):
    shown = harmless(text)
    assert shown.isprintable() and shown.isascii()
    assert json.loads(f'"{shown}"') == text


@pytest.mark.parametrize("text", ["宽带很慢,一直缓冲", "Ça ne marche pas!", "می‌خواهم", "👩‍🔧 kam nie", "[red]no markup[/red]", "50 % \\ /"])
def test_what_people_write_stays_as_it_is(text: str):
    assert harmless(text) == text


@given(st.text())
@example("\x1b[2J\n\t")
def test_nothing_is_left_that_a_terminal_would_obey(text: str):
    assert not {unicodedata.category(each) for each in harmless(text)} & {"Cc", "Cs", "Zl", "Zp"}
    assert {each for each in harmless(text, layout=True) if unicodedata.category(each) == "Cc"} <= {"\n", "\t"}


def test_ends_of_lines_stay_only_where_they_were_asked_for():
    assert harmless("a\nb\tc") == "a\\nb\\tc"
    assert harmless("a\nb\tc\x1b", layout=True) == "a\nb\tc\\u001b"


def test_a_console_prints_no_control_character_whoever_forgot_to_ask():
    written = io.StringIO()
    console = HarmlessConsole(file=written, force_terminal=True, width=60, highlight=False)
    table = Table("a wide enough one", title="\x1b]0;t\x07")
    table.add_row("\x9b2Jx")
    console.print(table)
    console.print("\x1b[2Jcleared\x00", "\u202eabc", style="red")
    console.print_json(data={"text": "\x1b\x9b\u202e\x7f"})
    console.rule("\x1b]8;;x\x07")
    text = written.getvalue()
    assert "\x9b" not in text and "\x07" not in text and "\u202e" not in text and "\x00" not in text and "\x7f" not in text
    assert "\\u001b]0;t" in text and "\\u009b2Jx" in text and "\\u001b[2Jcleared\\u0000" in text
    assert "\x1b[31m" in text, "what rich itself says goes through"


def test_json_for_programs_means_the_same_and_steers_nothing():
    written = io.StringIO()
    HarmlessConsole(file=written, width=60).print_json(data={"text": "\x1b\x9b\u202e宽带"}, indent=None)
    assert json.loads(written.getvalue()) == {"text": "\x1b\x9b\u202e宽带"}
    assert "宽带" in written.getvalue() and not {"\x9b", "\x1b", "\u202e"} & set(written.getvalue())


FORGED = Envelope(
    id="complaint/1:intake:1",
    source="in\x1b[2Ktake",
    type="redress.intake.complaint-registered\n00:00 callback complaint-closed.v1",
    subject="complaint/01890000-0000-7000-8000-0000\x1b[8m",
    version=1,
    time=datetime(2026, 2, 13, tzinfo=UTC),
    actor="ops:[bold]root\r",
    correlation="c",
    causation=None,
    traceparent=None,
    dataschema="",
    data={"note\x07": "ok\n02-13 09:00 callback complaint-closed reason=satisfied"},
)


def test_a_forged_event_stays_one_line_of_tail_and_one_row_of_timeline():
    written = io.StringIO()
    console = HarmlessConsole(file=written, width=400)
    console.print(line(FORGED))
    assert written.getvalue().count("\n") == 1
    assert "\\n02-13 09:00 callback" in written.getvalue() and "in\\u001b[2Ktake" in written.getvalue()
    console.print(timeline_table([FORGED], "Complaint \x1b[2J[red]x"))
    assert "\x1b" not in written.getvalue()
    assert "ops:[bold]root\\r" in written.getvalue(), "markup is text, and what it says stays"
    assert "Complaint \\u001b[2J[red]x" in written.getvalue()


def test_what_a_service_tells_of_a_parked_record_is_no_markup(monkeypatch: pytest.MonkeyPatch):
    row = {"subject": "complaint/[red]1", "records": 1, "since": "now", "reason": "fork", "detail": "\x1b[2J[bold]all is well"}
    row |= {"topic": "t", "partition": 0, "offset": 1, "type": ""}
    monkeypatch.setattr(parked, "installation", lambda folder, context: SimpleNamespace(answering=lambda: ["intake"]))
    monkeypatch.setattr(parked, "Api", lambda where, role, patience: None)
    monkeypatch.setattr(parked, "held_by", lambda api, service, wanted: ([row], []))
    shown = " ".join(CliRunner().invoke(app, ["parked"]).output.split())
    assert "\\u001b[2J[bold]all is well" in shown and "complaint/[red]1" in shown


def test_no_console_is_made_but_the_harmless_one_and_print_prints_json_and_tokens_alone():
    """Else somebody's text goes past the one function that makes it harmless."""
    found = []
    for file in sorted(Path(redress_cli.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "Console"):
                found.append((file.name, ast.unparse(node.args[0]).partition("(")[0] if node.args else ""))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "sys.stdout.write", "sys.stderr.write"):
                found.append((file.name, ast.unparse(node.func)))
    assert {what for _, what in found} == {"json.dumps", "Issuer"}, found


def test_words_that_are_masked_stay_masked():
    assert log.shown("sealed:abc") == log.MASK
    assert str(foreign(None)) == "None"
