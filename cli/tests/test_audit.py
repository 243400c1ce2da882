"""What `redress audit` makes of records, of logs and of exports, without a stack."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from redress_chassis.edge.logs import SERVICE
from redress_cli.audit import _row
from redress_cli.audit_verify import _heads, _heads_of_page, _reports_of, _verdict
from redress_cli.main import app
from redress_spine.admin.audit import Head, exported
from redress_spine.store.audit import Chain, audit_key, stamp
from redress_spine.testing import NOON

MASTER = bytes(32)
SAID = {
    "at": "2026-03-02T08:00:00.123456+00:00",
    "service": "handling",
    "kind": "reading",
    "who": "alice",
    "operation": "GET /cases/{complaint}",
}


@pytest.mark.parametrize(
    ("more", "about", "fields", "why"),
    [
        (
            {"subjects": {"a/1": ["intake/1/text", "intake/2/text"]}, "allowed": {"handler": "own department"}},
            "a/1",
            "text",
            "handler: own department",
        ),
        ({"subjects": {"a/1": ["x/1/b"], "a/2": ["x/1/c"]}, "reason": "ticket 4711"}, "2 subjects", "b, c", "ticket 4711"),
        ({"subjects": {}, "searched": "phone"}, "", "found by phone", ""),
        ({"subjects": {}, "code": "wrong-role"}, "", "", "wrong-role"),
    ],
)
def test_a_record_is_a_line_of_the_table(more, about, fields, why):
    assert _row(SAID | more) == ["2026-03-02 08:00:00", "handling", "reading", "alice", SAID["operation"], about, fields, "", why]


def test_callers_without_a_token_are_a_number():
    row = _row({"at": SAID["at"], "service": "intake", "kind": "refusal", "code": "no-token", "count": 7, "address": None})
    assert (row[3], row[7], row[8]) == ("7 unknown", "", "no-token")


def chain(tmp_path: Path) -> tuple[Path, list[Head]]:
    made = Chain("handling", audit_key(MASTER), NOON)
    links = made.links([made.begun([]), *({"kind": "reading", "at": stamp(NOON), "subjects": {}} for _ in range(3))])
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"".join(exported(link) + b"\n" for link in links))
    return file, [Head(link.writer, link.number, link.hash.hex(), "handling") for link in links]


def test_heads_are_read_from_an_export_and_from_a_log_among_its_other_lines(tmp_path):
    file, heads = chain(tmp_path)
    assert list(_heads(file)) == heads
    last = heads[-1]
    told = {"event": "audit-head", SERVICE: "handling", "writer": str(last.writer), "number": last.number, "hash": last.hash}
    log = tmp_path / "handling.log"
    log.write_text("\n".join(["", "no JSON", "[]", "7", json.dumps({"event": "request", SERVICE: "handling"}), json.dumps(told)]))
    assert list(_heads(log)) == [last]


def test_an_export_that_lacks_a_line_differs_and_another_file_is_none(tmp_path):
    file, heads = chain(tmp_path)
    (report,) = _reports_of(file, [MASTER], [], [])
    assert (report.service, report.whole, report.records) == ("handling", True, 4)
    assert asdict(report)["kinds"] == {"begun": 1, "reading": 3}
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join(lines[:-1]))
    assert _reports_of(file, [MASTER], [], [])[0].whole
    assert [each.number for each in _reports_of(file, [MASTER], heads, [])[0].differences] == [3]
    file.write_text("{}")
    with pytest.raises(typer.Exit):
        _reports_of(file, [MASTER], [], [])


def verify(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["audit", "verify", *map(str, words)])
    return result.exit_code, " ".join(result.stdout.split()), " ".join(result.stderr.split())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "master.key"
    file.write_bytes(MASTER)
    return file


def test_no_more_is_said_than_is_known(tmp_path, key):
    file, heads = chain(tmp_path)
    code, said, noted = verify("--file", file, "--master-key", key)
    assert (code, "nothing in it is wrong" in said, "whole" in said) == (0, True, False)
    assert "handling: compared only with itself" in noted
    known = tmp_path / "heads.jsonl"
    known.write_text(json.dumps({SERVICE: "handling", "writer": str(heads[-1].writer), "number": 4, "hash": heads[-1].hash}))
    code, said, noted = verify("--file", file, "--master-key", key, "--heads", known)
    assert (code, "whole" in said, noted) == (0, True, "")
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join(lines[:-1]))
    code, said, noted = verify("--file", file, "--master-key", key, "--heads", known)
    assert (code, "differs" in said, "had at least 4 records: its end was cut off" in noted) == (1, True, True)


def test_an_empty_export_is_no_whole_one(tmp_path, key):
    (tmp_path / "empty").write_text("\n")
    code, _, noted = verify("--file", tmp_path / "empty", "--master-key", key)
    assert (code, "is empty: there is nothing to check in it." in noted) == (1, True)


def test_an_export_without_the_service_that_is_asked_for_says_so(tmp_path, key):
    file, _ = chain(tmp_path)
    assert verify("handling", "--file", file, "--master-key", key)[0] == 0
    code, _, noted = verify("intake", "--file", file, "--master-key", key)
    assert (code, "has no record of intake. It has some of handling." in noted) == (1, True)
    assert "There is no service 'nobody'." in verify("nobody", "--file", file, "--master-key", key)[2]


@pytest.mark.parametrize(("content", "said"), [(b"garbage", "that has 32 bytes and nothing else, and this has 7"), (bytes([1]) * 32, "")])
def test_a_key_that_is_none_or_another_is_no_silent_one(tmp_path, key, content, said):
    file, _ = chain(tmp_path)
    wrong = tmp_path / "wrong.key"
    wrong.write_bytes(content)
    code, _, noted = verify("--file", file, "--master-key", key, "--master-key", wrong)
    assert (code, (said or f"No chain here was sealed by the key in {wrong}") in noted) == (1, True)


@pytest.mark.parametrize("harm", [lambda lines: [line for line in lines for _ in "ab"], lambda lines: lines[::-1], lambda lines: lines * 2])
def test_lines_that_were_doubled_or_turned_round_are_said_to_be_so(tmp_path, key, harm):
    file, _ = chain(tmp_path)
    file.write_bytes(b"\n".join(harm(file.read_bytes().splitlines())))
    code, _, noted = verify("--file", file, "--master-key", key)
    assert (code, "the lines were doubled, or their order was changed" in noted, "-" in noted.partition("missing")[0][-4:]) == (
        1,
        True,
        False,
    )


def test_what_a_running_process_says_of_its_chain_is_compared_by_its_number(tmp_path):
    file, heads = chain(tmp_path)
    page = f'# TYPE redress_audit_chain_records gauge\nredress_audit_chain_records{{writer="{heads[0].writer}"}} %d\n'
    (report,) = _reports_of(file, [MASTER], list(_heads_of_page("handling", page % 4)), [])
    assert (report.whole, report.heads, _verdict(report)) == (True, 1, "[green]whole")
    (report,) = _reports_of(file, [MASTER], list(_heads_of_page("handling", page % 6)), [])
    assert [each.what for each in report.differences] == ["The chain ends here, and had at least 6 records: its end was cut off."]
