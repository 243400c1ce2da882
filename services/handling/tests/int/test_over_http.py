"""Cases as departments work on them: over HTTP, on the real PostgreSQL, and with Kafka out of reach, which must not matter here."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute

from redress_handling import testing as say
from redress_handling.api import router
from redress_handling.main import service
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve

RESOLVE = {"cause": "A cell was off", "measures": "Switched it on", "responsible_unit": "Radio planning", "told_customer": "phone"}


@pytest.fixture
async def http(serve: Serve) -> OverHttp:
    return await serve(service, "handler/alice/technical_support")


@pytest.fixture
async def path(http: OverHttp) -> str:
    words = {"intake/1/text": "没有信号", "intake/1/phone": "13900000000"}
    return f"/cases/{await http.knows(say.registered(), say.classified(), say.routed(), say.opened(), words=words)}"


async def test_a_department_takes_a_case_from_its_list_to_its_resolution(http: OverHttp, path: str):
    (line,) = (await http.get("/cases")).json()["items"]
    assert (await http.get("/cases/workload")).json()["items"] == [{"department": "technical_support", "open": 1, "accepted": 0}]
    assert (line["stage"], line["department"], line["category"]) == ("open", "technical_support", "service_quality")
    assert not {"phone", "text"} & line.keys()
    view = await http.get(path)
    assert (view.json()["text"], view.json()["phone"]) == ("没有信号", "13900000000")

    assert (await http.post(f"{path}/progress", {"note": "Measured"})).json()["code"] == "case-not-accepted"
    accepted = await http.post(f"{path}/accept")
    assert (accepted.status_code, accepted.json()["handler"]) == (200, "alice")
    assert (await http.post(f"{path}/resolve", RESOLVE)).json()["code"] == "customer-not-contacted"
    assert (await http.post(f"{path}/contact", {"means": "phone", "note": "He is abroad"})).status_code == 200
    stale = await http.post(f"{path}/progress", {"note": "Measured"}, **{"if-match": accepted.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    assert (await http.post(f"{path}/progress", {"note": "Measured"})).status_code == 200
    answer = (await http.post(f"{path}/resolve", RESOLVE)).json()
    assert (answer["stage"], answer["counts"]["contacts"], answer["counts"]["reports"]) == ("resolved", 1, 1)
    assert not {"text", "contacts", "outcome"} & answer.keys(), "the answer to a command has no words and no history"
    resolved = (await http.get(path)).json()
    assert (resolved["stage"], resolved["outcome"]["cause"]) == ("resolved", "A cell was off")
    assert (resolved["contacts"][0]["words"], resolved["reports"][0]["words"]) == ("He is abroad", "Measured")
    contacts = (await http.get(f"{path}/remarks?of=contacts")).json()
    assert ([each["words"] for each in contacts["items"]], contacts["next"]) == (["He is abroad"], None)
    (outcome,) = (await http.get(f"{path}/outcomes")).json()["items"]
    assert outcome == resolved["outcome"]

    assert (await http.get("/cases")).json()["items"] == []
    assert (await http.get("/cases/workload")).json()["items"] == []
    (ended,) = (await http.get("/cases?state=resolved")).json()["items"]
    assert ended["number"] == line["number"]


async def test_a_case_is_seen_where_it_is_and_by_supervisors(http: OverHttp, path: str):
    other, boss = "handler/bob/finance", "supervisor/carol/"
    assert (await http.get("/cases", other)).json()["items"] == []
    assert (await http.get("/cases?department=technical_support", other)).json()["items"] == []
    assert [(await http.get(path, who)).status_code for who in (other, "handler/dan/", boss, "agent/eve/")] == [404, 404, 200, 403]
    assert len((await http.get("/cases?department=technical_support", boss)).json()["items"]) == 1
    seen = [(await http.get("/cases/workload", who)).json()["items"] for who in (other, "handler/dan/", boss)]
    assert seen == [[], [], [{"department": "technical_support", "open": 1, "accepted": 0}]]

    moved = await http.post(f"{path}/transfer", {"department": "finance", "reason": "It is about the bill"})
    assert (moved.status_code, moved.json()["department"], moved.json()["queue"]) == (200, "finance", None)
    assert (await http.get(path)).status_code == (await http.post(f"{path}/accept")).status_code == 404
    assert (await http.get(path, other)).json()["transferred_because"] == "It is about the bill"
    assert (await http.post(f"{path}/accept", who=other)).json()["stage"] == "accepted"


async def test_what_a_handler_has_accepted_no_colleague_touches_and_a_supervisor_may(http: OverHttp, path: str):
    await http.post(f"{path}/accept")
    await http.post(f"{path}/contact", {"means": "phone"})
    steps: dict[str, Any] = {
        "accept": {},
        "contact": {"means": "phone"},
        "progress": {"note": "Measured"},
        "transfer": {"department": "finance", "reason": "It is about the bill"},
        "resolve": RESOLVE,
        "reject": {"reason": "No contract with us", "told_customer": "letter"},
    }
    commands = {route.path.rpartition("/")[2] for route in router.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())}
    assert steps.keys() == commands, "a new step has to be asked of a colleague too"
    before = (await http.get(path)).content
    for name, body in steps.items():
        for who in ("handler/bob/technical_support", "supervisor/carol/finance"):
            refused = await http.post(f"{path}/{name}", body, who)
            assert (refused.status_code, refused.json()["code"]) == (409, "accepted-by-another"), (name, who, refused.text)
    assert (await http.get(path)).content == before
    rejected = await http.post(f"{path}/reject", steps["reject"], "supervisor/carol/technical_support")
    assert (rejected.status_code, rejected.json()["stage"]) == (200, "rejected")


async def test_who_repeats_a_step_on_a_case_that_went_elsewhere_is_answered_without_its_words(http: OverHttp, path: str):
    await http.post(f"{path}/accept")
    step = f"{path}/progress", {"note": "Measured"}
    assert (await http.post(*step, key="once")).status_code == 200
    transfer = f"{path}/transfer", {"department": "finance", "reason": "It is about the bill"}
    assert (await http.post(*transfer, key="moved")).status_code == 200

    for commands, key in ((step, "once"), (transfer, "moved")):
        again = await http.post(*commands, key=key)
        assert (again.status_code, again.json()["department"]) == (200, "finance")
        assert "Measured" not in again.text and "bill" not in again.text and "没有信号" not in again.text
        for place in ("", "/remarks?of=reports", "/outcomes"):
            assert (await http.get(f"{path}{place}")).status_code == 404


async def test_a_list_goes_on_where_its_page_ended_and_a_cursor_is_for_one_list(http: OverHttp, path: str):
    await http.post(f"{path}/accept")
    for n in range(5):
        await http.post(f"{path}/progress", {"note": f"Report {n}"})
    found, cursor = [], ""
    while cursor is not None:
        page = (await http.get(f"{path}/remarks?of=reports&limit=2{cursor and f'&cursor={cursor}'}")).json()
        found += [each["words"] for each in page["items"]]
        cursor = page["next"]
        if len(found) == 2:
            other = await http.get(f"{path}/remarks?of=contacts&cursor={cursor}")
            assert (other.status_code, other.json()["code"]) == (400, "bad-cursor")
    assert found == [f"Report {n}" for n in (4, 3, 2, 1, 0)]
    assert (await http.get(f"{path}/remarks?of=secrets")).status_code == 422


async def test_a_department_sees_how_often_the_customer_came_back_since_it_answered(http: OverHttp):
    story = [say.registered(), say.supplemented(), say.routed(), say.opened(), say.accepted(), say.contacted()]
    await http.knows(*story)
    ended = await http.knows(*story, say.resolved(said=1), say.chased())
    (line,) = (await http.get("/cases")).json()["items"]
    assert (line["counts"]["said_since"], line["counts"]["said_at"]) == (1, line["counts"]["supplemented_at"])
    (line,) = (await http.get("/cases?state=resolved")).json()["items"]
    counts = line["counts"]
    assert (line["complaint"], counts["said_since"], counts["said_at"]) == (ended, 1, counts["chased_at"])


async def test_rejecting_says_why(http: OverHttp, path: str):
    await http.post(f"{path}/accept")
    await http.post(f"{path}/reject", {"reason": "No contract with us", "told_customer": "letter"})
    rejected = (await http.get(path)).json()
    assert (rejected["stage"], rejected["outcome"]["reason"]) == ("rejected", "No contract with us")


async def test_a_list_comes_in_pages(http: OverHttp):
    story = say.registered(), say.routed(), say.opened()
    for _ in range(3):
        await http.knows(*story)
    urgent = await http.knows(*story, say.reclassified("major"))
    first = (await http.get("/cases?limit=3")).json()
    rest = (await http.get(f"/cases?limit=3&cursor={first['next']}")).json()
    found = [item["complaint"] for item in first["items"] + rest["items"]]
    assert (len(set(found)), found[0], rest["next"]) == (4, urgent, None)
    assert (await http.get(f"/cases?state=resolved&cursor={first['next']}")).json()["code"] == "bad-cursor"


async def test_what_cannot_be_is_refused(http: OverHttp, path: str):
    await http.post(f"{path}/accept")
    for step, body, status, said in (
        ("accept", {"handler": "bob"}, 422, "/handler"),
        ("contact", {"means": "bot"}, 422, "/means"),
        ("contact", {"means": "phone", "contacted_at": "2026-03-02T12:00:00"}, 422, "/contacted_at"),
        ("contact", {"means": "phone", "contacted_at": "2199-03-02T12:00:00Z"}, 409, "contact-in-future"),
        ("contact", {"means": "phone", "contacted_at": "1999-03-02T12:00:00Z"}, 409, "contact-too-early"),
        ("progress", {"note": " "}, 422, "/note"),
        ("progress", {"note": "x" * 20_001}, 422, "/note"),
        ("resolve", RESOLVE | {"colour": "red"}, 422, "/colour"),
        ("resolve", RESOLVE | {"responsible_unit": "li@example.org, or Wang"}, 422, "/responsible_unit"),
        ("reject", {"reason": "No contract"}, 422, "/told_customer"),
        ("transfer", {"department": "space_travel", "reason": "?"}, 409, "unknown-department"),
        ("transfer", {"department": "technical_support", "reason": "?"}, 409, "same-department"),
    ):
        answer = await http.post(f"{path}/{step}", body)
        problem = answer.json()
        assert (answer.status_code, said in (problem["code"], problem.get("pointer"))) == (status, True), answer.text


async def test_bad_filters_are_refused(http: OverHttp):
    for query in ("department=%00", "department=Finance;", "state=lost", "limit=0", "limit=1000", "cursor=x"):
        assert (await http.get(f"/cases?{query}")).status_code in (400, 422), query
