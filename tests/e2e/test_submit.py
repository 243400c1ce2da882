"""The command line on a running system: a file of complaints goes in once however often it is sent, what is refused is said by line, and
every command that looks at the system answers."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from live import Live, eventually, ok
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_local.places import SERVICES

REAL_TEXTS = os.environ.get("REDRESS_REAL_TEXTS")
HEADER = ("ticket", "what happened", "when", "how", "where")
GOOD = [
    ("1", "宽带断网三天了,客服一直说在处理。", "2026-01-05", "hotline", "海口"),
    ("2", "The app shows a bill that is twice what I agreed to.", "2026-01-06", "app", "London"),
    ("3", '营业厅说"三天内上门",\n到现在没有人来装机。', "2026-01-07T09:30:00+08:00", "shop", "三亚"),
    ("4", "No signal in the whole street since the storm.", "06-01-26", "Internet", ""),
]
BAD = [
    ("5", "", "2026-01-05", "hotline", "海口"),
    ("6", "Somebody should look at this.", "2026-01-05", "pigeon", ""),
    ("7", "The date of this one cannot be.", "2026-02-30", "web", ""),
    ("8", "This one comes from the future.", "2199-01-01", "web", ""),
    ("9", "The place is none.", "2026-01-05", "web", "\u3164"),
]
MAP = ("--map", "text=what happened", "--map", "received_at=when", "--map", "channel=how", "--map", "area=where", "--date-format", "DMY")


def redress(live: Live, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--folder", live.stack.folder])


def answered(live: Live, *words: str) -> Any:
    """What the command prints with --json."""
    result = redress(live, *words, "--json")
    assert result.exit_code == 0, result.output + result.stderr
    return json.loads(result.stdout)


def written(folder: Path, rows: Sequence[Sequence[str]]) -> str:
    file = folder / "tickets.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        csv.writer(out).writerows([HEADER, *rows])
    return str(file)


def test_a_file_goes_in_once_and_what_is_refused_is_said_by_line(live: Live, tmp_path: Path):
    file = written(tmp_path, [*GOOD, *BAD])
    before = len(live.events("intake", "complaint-registered"))
    first = redress(live, "submit", file, *MAP, "--json")
    assert first.exit_code == 1, "some rows were refused"
    report = json.loads(first.stdout)
    assert report["new"] == len(set(report["numbers"])) == len(GOOD)
    # The third complaint takes two lines of the file.
    assert [(line, code, reason.partition(":")[0]) for line, code, reason in report["refused"]] == [
        (7, "text-missing", "/text"),
        (8, "channel-unknown", "/channel"),
        (9, "date-unclear", "/received_at"),
        (10, "date-unclear", "/received_at"),
        (11, "invalid", "/area"),
    ]
    assert len(live.events("intake", "complaint-registered")) == before + len(GOOD)

    again = json.loads(redress(live, "submit", file, *MAP, "--json").stdout)
    assert (again["new"], again["there_already"], again["numbers"]) == (0, len(GOOD), report["numbers"])
    assert len(live.events("intake", "complaint-registered")) == before + len(GOOD), "the same file makes no second complaint"
    for_people = redress(live, "submit", file, *MAP)
    assert "9 rows: 0 new, 4 were there already, 5 refused." in for_people.stdout
    assert "/channel" in for_people.stdout

    seen = {view["text"]: view for view in (by_number(live, number) for number in report["numbers"])}
    assert {(text, view["channel"], view.get("area_said", "")) for text, view in seen.items()} == {
        (text, "web" if how == "Internet" else how, where) for _, text, _, how, where in GOOD
    }
    assert seen[GOOD[0][1]]["received_at"] == "2026-01-04T16:00:00Z", "a day begins where the operator is"


def by_number(live: Live, number: str) -> dict[str, Any]:
    return ok(live.agent.get("intake", f"/complaints/by-number/{number}"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--map", "text=nothing"], "There is no column 'nothing'"),
        ([], "Which column is the complaint's text?"),
        ([*MAP, "--zone", "Mars/Olympus"], "There is no time zone 'Mars/Olympus'"),
        ([*MAP, "--set", "channel"], "--set takes field=something"),
        ([*MAP, "--date-format", "YDM"], "use DMY, MDY or YMD"),
        ([*MAP, "--sheet", "Sheet 1"], "--sheet is for XLSX"),
        ([*MAP, "--encoding", "klingon"], "There is no encoding 'klingon'"),
        ([*MAP, *MAP], "--map says text twice"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_said_and_nothing_is_posted(live: Live, tmp_path: Path, words: list[str], said: str):
    before = len(live.events("intake", "complaint-registered"))
    result = redress(live, "submit", written(tmp_path, GOOD), *words)
    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())
    assert len(live.events("intake", "complaint-registered")) == before


def test_a_broken_table_posts_nothing_and_a_dry_run_neither(live: Live, tmp_path: Path):
    before = len(live.events("intake", "complaint-registered"))
    broken, report = tmp_path / "broken.csv", tmp_path / "report.csv"
    broken.write_text('text,channel\n"My line is dead,hotline\nSecond,web\nThird,app\n"Fourth",web\n', "utf-8")
    result = redress(live, "submit", str(broken), "--report", str(report))
    assert result.exit_code == 1 and "Nothing was posted" in result.stdout and "A quote opens here" in result.stdout
    assert report.read_text("utf-8-sig").splitlines()[1].startswith('2,refused,,table-broken,"A quote opens here')
    itself = redress(live, "submit", str(broken), "--report", str(broken))
    assert itself.exit_code == 1 and "Name another one" in itself.stderr

    good = written(tmp_path, GOOD)
    nowhere = redress(live, "submit", good, *MAP, "--report", str(tmp_path / "no folder" / "report.csv"))
    assert nowhere.exit_code == 1 and "cannot be written: No such file or directory. Nothing was posted." in " ".join(
        nowhere.stderr.split()
    )
    dry = redress(live, "submit", good, *MAP, "--dry-run")
    assert (dry.exit_code, dry.stdout.strip()) == (0, "4 rows: 4 would be posted, 0 would be refused.")
    assert "external_id: ticket" in " ".join(dry.stderr.split()) and "text: what happened" in dry.stderr
    assert json.loads(redress(live, "submit", good, *MAP, "--dry-run", "--json").stdout)["would_post"] == 4
    assert len(live.events("intake", "complaint-registered")) == before


def test_a_sheet_of_excel_goes_in_and_a_phone_that_nobody_can_call_is_a_warning(live: Live, tmp_path: Path):
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["投诉内容", "受理时间", "渠道", "联系电话"], ["宽带断网", datetime(2026, 1, 5, 9, 5), "热线", 13800000000]):  # noqa: DTZ001
        sheet.append(row)
    sheet.append(["没有信号", "2026年1月5日", "微信", "1380000000"])
    book.save(tmp_path / "tickets.xlsx")
    report = json.loads(redress(live, "submit", str(tmp_path / "tickets.xlsx"), "--json").stdout)
    assert (report["rows"], report["new"], report["refused"]) == (2, 2, [])
    assert [(line, code) for line, code, _ in report["warnings"]] == [(3, "phone-not-callable")]
    assert [by_number(live, number)["received_at"] for number in report["numbers"]] == ["2026-01-05T01:05:00Z", "2026-01-04T16:00:00Z"]


def test_every_command_that_looks_at_the_system_answers(live: Live):
    complaint = live.register("宽带断网三天了。", customer="Canary Tailfeather")
    number = live.reaches(complaint, "routed")["number"]
    live.idle()

    tailed = redress(live, "tail", "--from-start", "--limit", "5", "--json")
    assert tailed.exit_code == 0, tailed.stderr
    types = [json.loads(line)["type"] for line in tailed.stdout.splitlines()]
    assert len(types) == 5
    assert all(each.startswith("redress.") for each in types)  # of all partitions, so in no order that we could name
    filtered = redress(live, "tail", "--from-start", "--limit", "2", "--complaint", number, "--service", "triage", "--json")
    assert [json.loads(line)["type"] for line in filtered.stdout.splitlines()] == [
        "redress.triage.complaint-classified.v1",
        "redress.triage.complaint-routed.v1",
    ]

    timeline = redress(live, "timeline", number)
    assert timeline.exit_code == 0
    for word in ("complaint-registered", "complaint-classified", "case-opened", "clock-started", "•••"):
        assert word in timeline.stdout
    for output in (timeline.stdout, tailed.stdout, filtered.stdout, redress(live, "tail", "--from-start", "--limit", "5").stdout):
        assert "Tailfeather" not in output
        assert "sealed:" not in output
    unknown = redress(live, "timeline", "0000-0000-001")
    assert unknown.exit_code == 1

    owed = next(each for each in answered(live, "pending") if each["number"] == number)
    assert (owed["owner"], owed["stuck"], owed["parked"], owed["silent"]) == ("department:technical_support", False, [], None)
    assert number in redress(live, "pending").stdout
    reports = answered(live, "verify")
    assert [each["service"] for each in reports] == list(SERVICES)
    assert all(not each["differences"] and each["states"] for each in reports)
    assert "equal" in redress(live, "verify", "intake").stdout
    assert answered(live, "parked") == {service: {"parked": [], "dead_letters": []} for service in SERVICES}
    assert "nothing" in redress(live, "parked").stdout
    status = answered(live, "status", "--within", "60")["services"]
    assert [(each["service"], each["ready"], each["parked"], each["backlog"]) for each in status] == [(s, True, 0, 0) for s in SERVICES]


@pytest.mark.skipif(not REAL_TEXTS, reason="REDRESS_REAL_TEXTS does not name the folder of the real complaints")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [("hotline_telecom_274.csv", 274, ["--set", "channel=hotline"]), ("telecom_complaints_en_2224.csv", 2224, [])],
    ids=["chinese", "english"],
)
def test_every_real_complaint_reaches_a_department(live: Live, name: str, rows: int, words: list[str]):
    result = redress(live, "submit", str(Path(REAL_TEXTS or "") / name), *words, "--json")
    report = json.loads(result.stdout)
    assert (report["new"], report["refused"], result.exit_code) == (rows, [], 0)
    live.idle(within=120)

    def placed() -> bool:
        departments = {each["number"]: each["owner"] for each in live.owed().values()}
        return all(departments.get(number, "").startswith("department:") for number in report["numbers"])

    eventually(placed, f"all {rows} complaints lie with a department")
    live.verified()
