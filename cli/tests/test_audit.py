"""What `redress audit` makes of records, of logs and of exports, without a stack."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from redress_chassis.edge.logs import SERVICE
from redress_cli.audit import _heads, _reports_of, _row
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
    (report,) = _reports_of(file, [MASTER], [])
    assert (report.service, report.whole, report.records) == ("handling", True, 4)
    assert asdict(report)["kinds"] == {"begun": 1, "reading": 3}
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join(lines[:-1]))
    assert _reports_of(file, [MASTER], [])[0].whole
    assert [each.number for each in _reports_of(file, [MASTER], heads)[0].differences] == [3]
    file.write_text("{}")
    with pytest.raises(typer.Exit):
        _reports_of(file, [MASTER], [])
