"""Rows posted to the real intake: at once, again, after the network or the person failed, and each with an outcome."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from redress_cli.importing import posting
from redress_cli.importing.plan import ImportPlan, make_plan
from redress_cli.importing.posting import ImportReport, RowOutcome, before_posting, post_all
from redress_cli.importing.report_file import harmless_cell, write_report
from redress_cli.importing.tables import read_table
from redress_intake.main import service
from redress_local.over_http import OverHttp
from redress_local.places import ROOT
from redress_local.pytest_plugin import Serve

NOTHING = "\u3164"  # nobody sees it
CONTENT = "text,phone,channel,product\n" + "".join(
    f"Row {n},{'1380000000' if n == 3 else '13800000000'},{'pigeon' if n == 4 else 'web'},{NOTHING if n == 5 else 'DSL'}\n"
    for n in range(30)
)
Answer = Callable[[int, httpx.Request], httpx.Response | Exception | None]


class BadNetwork(httpx.AsyncBaseTransport):
    """The way to intake. answer: of the n-th request, instead of intake's own; after: intake gets the request all the same."""

    def __init__(self, way: httpx.AsyncBaseTransport, answer: Answer, after: bool = False) -> None:
        self.way, self.answer, self.after, self.requests = way, answer, after, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        instead = self.answer(self.requests, request)
        if instead is None or self.after:
            response = await self.way.handle_async_request(request)
            if instead is None:
                return response
            await response.aread()
        if isinstance(instead, Exception):
            raise instead
        assert instead is not None
        return instead


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
async def http(serve: Serve) -> OverHttp:
    served = await serve(service, "front-end")
    served.http.headers.update(served._bearer("front-end"))
    return served


def plan_of(content: str = CONTENT) -> ImportPlan:
    return make_plan(read_table(content.encode()), {}, {}, ZoneInfo("Asia/Shanghai"), date(2026, 11, 29))


async def submitted(http: OverHttp, plan: ImportPlan, answer: Answer | None = None, after: bool = False) -> ImportReport:
    report = before_posting(plan)
    client = http.http
    if answer is not None:
        network = BadNetwork(http.http._transport, answer, after)
        client = httpx.AsyncClient(transport=network, base_url=http.http.base_url, headers=http.http.headers)
    await post_all(client, plan, report, 4, lambda: None)
    assert sum(map(report.count, ("new", "there-already", "refused"))) == len(report.outcomes) == len(plan.rows)
    return report


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.count("new"), report.count("there-already"), report.count("refused")


async def registered(http: OverHttp) -> int:
    return int(await http.owner.fetchval("SELECT count(*) FROM complaints"))


async def test_a_second_import_finds_all_there_and_warnings_are_said(http: OverHttp, tmp_path: Path):
    first = await submitted(http, plan_of())
    assert counts(first) == (28, 0, 2) and await registered(http) == 28
    assert [(each.line, each.code, each.reason.partition(":")[0]) for each in first.of("refused")] == [
        (6, "channel-unknown", "/channel"),
        (7, "invalid", "/product"),
    ]
    assert [(each.line, [code for code, _ in each.warnings]) for each in first.outcomes if each.warnings] == [(5, ["phone-not-callable"])]

    assert first.of("refused")[1].reason.count("/product") == 1, "the place is named once"

    again = await submitted(http, plan_of(CONTENT + "Row 30,,web,\n"))
    assert counts(again) == (1, 28, 2) and await registered(http) == 29
    assert {each.number for each in first.of("new")} == {each.number for each in again.of("there-already")}

    write_report(tmp_path / "report.csv", again)
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["outcome"] for row in rows].count("there-already") == 28
    assert [(row["line"], row["code"]) for row in rows if row["code"]] == [
        ("5", "phone-not-callable"),
        ("6", "channel-unknown"),
        ("7", "invalid"),
    ]


@pytest.mark.parametrize("delivered", [True, False], ids=["answers", "requests"])
async def test_what_the_network_loses_is_sent_again_and_is_one_complaint(http: OverHttp, delivered: bool):
    seen: set[str] = set()

    def cut(_: int, request: httpx.Request) -> Exception | None:
        key = request.headers["idempotency-key"]
        first = key not in seen
        seen.add(key)
        return httpx.ReadError("cut") if first else None

    report = await submitted(http, plan_of(), cut, delivered)
    assert counts(report) == ((0, 28, 2) if delivered else (28, 0, 2))
    assert await registered(http) == 28


async def test_who_has_no_room_is_asked_again_as_often_as_it_takes(http: OverHttp):
    busy = httpx.Response(429, json={"code": "too-many-requests", "detail": "Later."}, headers={"retry-after": "0"})
    report = await submitted(http, plan_of(), lambda n, _: busy if n <= 50 else None)
    assert counts(report) == (28, 0, 2)


async def test_where_nobody_answers_the_rest_is_not_tried_and_goes_in_later(http: OverHttp):
    seen = []

    def away(n: int, request: httpx.Request) -> Exception | None:
        seen.append(request.headers["idempotency-key"])
        return httpx.ConnectError("away") if n > 10 else None

    report = await submitted(http, plan_of(), away)
    assert 0 < report.count("new") <= 10
    assert {each.code for each in report.of("refused")} >= {"unreachable", "not-posted"}
    assert len(set(seen)) < 20, "each who posts gives up one row, and no more"
    there = report.count("new")
    assert counts(await submitted(http, plan_of())) == (28 - there, there, 2)


async def test_a_token_that_is_refused_is_refused_once(http: OverHttp):
    no = httpx.Response(401, json={"code": "token-invalid", "detail": "No."})
    report = await submitted(http, plan_of(), lambda n, _: no)
    assert counts(report) == (0, 0, 30) and {each.code for each in report.of("refused")} == {
        "token-invalid",
        "not-posted",
        "channel-unknown",
    }


async def test_one_row_that_intake_fails_on_stops_no_other(http: OverHttp):
    bad = httpx.Response(500, text="broken")
    report = await submitted(http, plan_of(), lambda n, request: bad if b'"Row 7"' in request.content else None)
    assert counts(report) == (27, 0, 3)
    assert [(each.line, each.code, each.reason) for each in report.of("refused") if each.code == "500"] == [(9, "500", "broken")]


async def test_who_is_interrupted_sees_how_far_it_came_and_goes_on_from_there(http: OverHttp):
    report, plan = before_posting(plan_of()), plan_of()
    posted = asyncio.Semaphore(0)
    running = asyncio.create_task(post_all(http.http, plan, report, 2, posted.release))
    for _ in range(8):  # row 5 is refused
        await posted.acquire()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert 5 <= report.count("new") <= 28
    assert sum(counts(report)) == len(report.outcomes)
    new, there, refused = counts(await submitted(http, plan_of()))
    assert (new + there, refused) == (28, 2) and there >= report.count("new")
    assert await registered(http) == 28


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "＝1"])
def test_a_report_computes_nothing(text: str):
    assert harmless_cell(text).startswith("'")
    assert harmless_cell(f"a{text}".replace("\t", "").replace("\r", "")).startswith("a")
    assert harmless_cell("\x1b[2J") == "\\u001b[2J"


def test_a_report_that_quotes_a_customer_is_text_in_every_cell(tmp_path: Path):
    refused = RowOutcome(2, "refused", "-1", "@code", "=HYPERLINK(1)", warnings=[("+1", "\t=1")])
    write_report(tmp_path / "report.csv", ImportReport([refused]))
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as opened:
        _, *rows = csv.reader(opened)
    cells = [cell for row in rows for cell in row if cell not in ("2", "refused", "warning")]
    assert len(cells) == 6 and all(cell.startswith("'") for cell in cells), cells


def test_nothing_else_writes_a_table_for_a_spreadsheet():
    """Whatever comes to do so goes through harmless_cell, and is named here."""
    programs = [*ROOT.glob("libs/**/redress_*/**/*.py"), *ROOT.glob("services/**/redress_*/**/*.py"), *ROOT.glob("cli/redress_cli/**/*.py")]
    writing = re.compile(r"csv\.(writer|DictWriter)\(|Workbook\(\)|\.to_(csv|excel)\(")
    assert len(programs) > 100
    assert [path.name for path in programs if writing.search(path.read_text("utf-8"))] == ["report_file.py"]
