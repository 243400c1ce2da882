"""The front door as its users find it: over HTTP, on the real PostgreSQL, and with Kafka out of reach, which must not matter here.

Long, for every operation of the front door is tried as callers use it.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from redress_events.contracts.callback import ComplaintClosed
from redress_events.contracts.intake import ComplaintRegistered
from redress_intake.main import service
from redress_intake.queries import BY_NUMBER
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve

GIVEN = {"channel": "web", "text": "手机没有信号", "phone": "13900000000", "instruction": "Call after six", "area": "浦东"}
FILL = """
INSERT INTO complaints (subject, number, registered_at)
SELECT 'complaint/' || gen_random_uuid(), 'N' || n, n FROM generate_series(1, 20000) n
"""


@pytest.fixture
async def http(serve: Serve) -> OverHttp:
    return await serve(service, "front-end")


async def test_a_complaint_is_taken_in_found_by_its_number_and_added_to(http: OverHttp):
    answer = await http.post("/complaints", GIVEN, **{"accept-language": "zh-CN"})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert answer.headers["location"] == new["status"] == f"/complaints/{new['id']}"
    assert "1个工作日" in new["next"]["sentence"]

    spoken = new["number"].lower().replace("-", " ").replace("0", "o")
    found = (await http.get(f"/complaints/by-number/{spoken}")).json()
    assert (found["id"], found["stage"], found["text"]) == (new["id"], "registered", GIVEN["text"])
    assert "internal" not in found
    assert (await http.get(new["status"], "agent")).json()["internal"]["phone"] == GIVEN["phone"]

    added = await http.post(f"{new['status']}/supplements", {"text": "Still none", "attachments": ["photo-1"]}, key="added")
    assert added.json()["said"] == {"what": "supplement", "n": 1, "at": added.json()["said"]["at"], "attachments": ["1"]}
    chased = await http.post(f"{new['status']}/chases")
    assert (chased.json()["said"]["n"], chased.json()["counts"]["chases"]) == (1, 1)
    wished = await http.post(f"{new['status']}/withdrawal", {"reason": "Solved"})
    shown = (await http.get(new["status"])).json()["said"]
    assert [(said["what"], said.get("text")) for said in shown] == [("supplement", "Still none"), ("withdrawal", "Solved")]
    repeated = await http.post(f"{new['status']}/supplements", {"text": "Still none", "attachments": ["photo-1"]}, key="added")
    assert repeated.json()["said"] == added.json()["said"], "a repeated command made what it made at first"
    assert wished.json()["stage"] == "withdrawal-pending"
    again = await http.post(f"{new['status']}/withdrawal", key="again")
    assert (again.status_code, again.headers["etag"]) == (200, wished.headers["etag"])
    repeated = await http.post(f"{new['status']}/withdrawal", key="again")
    assert repeated.json() == again.json(), "a repeated command that made nothing made nothing at first"
    (named,) = [each for each in (await http.get(f"{new['status']}/said")).json()["items"] if each["what"] == "supplement"]
    assert (named["attachments"], named["attachment_names"]) == (["1"], ["photo-1"])
    stale = await http.post(f"{new['status']}/chases", **{"if-match": answer.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")


async def test_a_front_end_sees_and_changes_what_it_registered_itself_unless_they_share(serve: Serve):
    for reach, other in (("own", 404), ("anything", 200)):
        http = await serve(service, "front-end", front_ends_reach=reach)
        new = (await http.post("/complaints", GIVEN, "front-end/app")).json()
        number = f"/complaints/by-number/{new['number']}"
        for who, status in (("front-end/app", 200), ("front-end/hotline", other), ("agent/hotline", 200), ("front-end+bi/app", 200)):
            assert (await http.get(new["status"], who)).status_code == (await http.get(number, who)).status_code == status, who
            assert (await http.get(f"{new['status']}/said", who)).status_code == status
            assert (await http.post(f"{new['status']}/chases", None, who)).status_code == status
        again = await http.post("/complaints", GIVEN | {"refers_to": new["number"]}, "front-end/hotline")
        assert again.status_code == 201, "a customer may take a complaint up again at any front end"


async def test_front_ends_are_told_apart_by_channel_where_a_setting_says_so(serve: Serve):
    http = await serve(service, "front-end", front_ends_reach="channel", client_channels="portal=web")
    site, kiosk, shop, nobody = ("front-end/site///web+app", "front-end/kiosk///web", "front-end/shop///shop", "front-end/x")
    answer = await http.post("/complaints", GIVEN, site, key="k")
    new = answer.json()
    assert answer.status_code == 201, answer.text
    for who, status in ((site, 200), (kiosk, 200), (shop, 404), (nobody, 404), ("agent/hotline", 200)):
        for path in (new["status"], f"/complaints/by-number/{new['number']}", f"{new['status']}/said", f"{new['status']}/stages"):
            assert (await http.get(path, who)).status_code == status, (who, path)
        for step in ("supplements", "chases", "withdrawal"):
            body = {"text": "More"} if step == "supplements" else {}
            assert (await http.post(f"{new['status']}/{step}", body, who)).status_code == status, (who, step)
    for who in (shop, nobody, "front-end+bi/x///app"):
        refused = await http.post("/complaints", GIVEN, who)
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong-channel")
    assert (await http.post("/complaints", GIVEN, "agent/hotline")).status_code == 201, "agents write down what comes by any channel"
    repeated = await http.post("/complaints", GIVEN, "front-end/site///app", key="k")
    assert repeated.json()["number"] == new["number"], "who repeats a request is answered as at first"
    referring = await http.post("/complaints", GIVEN | {"channel": "shop", "refers_to": new["number"]}, shop)
    assert referring.status_code == 201, "a customer may take a complaint up again at any front end"


async def test_agents_find_by_a_number_what_is_in_their_areas_or_nobody_knows_where(serve: Serve):
    http = await serve(service, "front-end", agents_reach="area")
    areas = {
        area: (await http.post("/complaints", {k: v for k, v in (GIVEN | {"area": area}).items() if v})).json()["id"]
        for area in ("浦东", "静安", "Atlantis", None)
    }
    for who, expected in (
        ("agent/a//shanghai-pudong", {"浦东", None, "Atlantis"}),
        ("agent/a", {None, "Atlantis"}),
        ("agent/a//Shanghai-Pudong+shanghai-jingan", {*areas}),
        ("supervisor", {*areas}),
    ):
        found = (await http.post("/complaints/search", {"phone": GIVEN["phone"]}, who)).json()["items"]
        assert {each["id"] for each in found} == {areas[area] for area in expected}, who


async def test_open_complaints_are_counted_for_who_sees_none_of_them(http: OverHttp):
    now = datetime.now(UTC)
    for age in (0, 2, 2, 45):
        assert (await http.post("/complaints", GIVEN | {"received_at": (now - timedelta(days=age)).isoformat()})).status_code == 201
    counted = await http.get("/statistics/open", "bi")
    assert counted.status_code == 200, counted.text
    answer = counted.json()
    alike = {"stage": "registered", "department": None, "category": None}
    ages = [("under-1-day", 1), ("1-to-3-days", 2), ("over-30-days", 1)]
    assert (answer["total"], answer["items"]) == (4, [alike | {"age": age, "complaints": n} for age, n in ages])
    for role, status in (("supervisor", 200), ("ops", 200), ("agent", 403), ("handler", 403), ("front-end", 403)):
        assert (await http.get("/statistics/open", role)).status_code == status
    assert (await http.get("/pending", "bi")).status_code == 403


@pytest.mark.parametrize("role", ["front-end", "agent", "handler", "supervisor", "ops", "bi"])
async def test_everybody_reads_the_catalogue_and_what_it_does_not_have_is_sealed(http: OverHttp, role: str):
    catalogue = (await http.get("/catalogue", role)).json()
    assert {"code": "broadband-500", "en": "Fibre 500", "zh": "宽带500M"} in catalogue["products"]
    said = {
        "product": "Fibre 500, 24 months",
        "area": "Ada Byron 13800000000 12 St James Sq",
        "attachments": ["Ada Byron.jpg", "照片 1.jpg"],
    }
    status = (await http.post("/complaints", GIVEN | said)).json()["status"]
    seen = (await http.get(status)).json()
    assert (seen["product"], seen["area"], seen["attachments"]) == ("broadband-500", "other", ["1", "2"])
    assert {name: seen[name] for name in ("product_said", "area_said", "attachment_names")} == {
        "product_said": said["product"],
        "area_said": said["area"],
        "attachment_names": said["attachments"],
    }
    hidden = (await http.get(status, "ops")).json()
    assert (hidden["product"], hidden["area"]) == ("broadband-500", "other")
    assert not {"product_said", "area_said", "attachment_names"} & {*hidden}
    for table in ("events", "state", "entries"):
        assert "Ada Byron" not in str(await http.owner.fetch(f"SELECT t::text FROM {table} t")), table


async def test_the_same_key_makes_one_complaint_and_the_same_answer(http: OverHttp):
    first, second = [await http.post("/complaints", GIVEN, key="k") for _ in range(2)]
    assert (first.status_code, first.content) == (second.status_code, second.content)
    other = await http.post("/complaints", {**GIVEN, "text": "Something else"}, key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(await http.owner.fetch("SELECT FROM events")) == 1


async def test_a_front_ends_own_id_makes_one_complaint_and_finds_it(http: OverHttp):
    labels = {"product": "宽带【100M】", "attachments": ["photo.jpg"]}
    own = {"external_id": "CRM/2026-4711", "metadata": {"desk": "7"}}
    body: dict[str, Any] = GIVEN | labels | own | {"account": "A-1", "email": "li@example.org"}
    answers = await asyncio.gather(*(http.post("/complaints", body, "front-end/crm") for _ in range(6)))
    assert {each.status_code for each in answers} == {201}, [each.text for each in answers]
    (number,) = {each.json()["number"] for each in answers}
    assert sorted(each.headers.get("idempotency-replayed", "") for each in answers) == [""] + ["true"] * 5
    assert len(await http.owner.fetch("SELECT FROM events")) == 1
    first = answers[0].json()

    for change in (
        {"text": "Something else"},
        {"product": "broadband-100"},
        {"area": "Beyond the river"},
        {"attachments": ["another.jpg"]},
    ):
        other = await http.post("/complaints", body | change, "front-end/crm")
        assert (other.status_code, other.json()["code"]) == (409, "external-id-taken") and number in other.json()["detail"]
    elsewhere = await http.post("/complaints", body, "front-end/app")
    assert elsewhere.json()["number"] != number, "another front end has ids of its own"

    for who, found in (("front-end/crm", [number]), ("front-end/app", [elsewhere.json()["number"]]), ("supervisor/crm", [number])):
        page = (await http.get("/complaints", who, external_id=body["external_id"])).json()
        assert [each["number"] for each in page["items"]] == found, who
    assert (await http.get("/complaints", "front-end/crm", external_id="CRM/2026-4712")).json()["items"] == []
    assert (await http.get("/complaints", "front-end/crm", external_id="x", channel="web")).json()["pointer"] == "/external_id"
    for who, shown in (
        ("front-end/crm", ("CRM/2026-4711", {"desk": "7"})),
        ("agent", ("CRM/2026-4711", {"desk": "7"})),
        ("ops", (None, None)),
    ):
        view = (await http.get(first["status"], who)).json()
        assert (view.get("external_id"), view.get("metadata")) == shown, who
    searched = (await http.post("/complaints/search", {"account": "a 1"}, "agent")).json()["items"]
    assert {each["number"] for each in searched} == {number, elsewhere.json()["number"]}

    tag = (await http.get(first["status"], "front-end/crm")).headers["etag"]
    same = await http.call("GET", first["status"], None, "front-end/crm", **{"if-none-match": tag})
    assert (same.status_code, same.headers["etag"], same.content) == (304, tag, b"")
    await http.post(f"{first['status']}/chases", None, "front-end/crm")
    changed = await http.call("GET", first["status"], None, "front-end/crm", **{"if-none-match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag


async def test_complaints_are_listed_the_newest_first_by_channel_state_and_time_to_who_may_see_them(serve: Serve):
    http = await serve(service, "front-end", agents_reach="area")
    now = datetime.now(UTC)
    days = [now - timedelta(days=n) for n in range(6)]
    made = {}
    for n, (who, channel, area) in enumerate(
        [("app", "web", "浦东"), ("app", "app", "静安"), ("shop", "shop", "浦东"), ("shop", "web", None), ("app", "web", "静安")]
    ):
        body = {k: v for k, v in (GIVEN | {"channel": channel, "area": area, "received_at": days[n].isoformat()}).items() if v}
        new = (await http.post("/complaints", body, f"front-end/{who}")).json()
        made[new["number"]] = n
        if n == 1:
            await http.post(f"{new['status']}/withdrawal", None, "supervisor")
    closed = ComplaintRegistered(number="N", channel="web", kind="complaint", received_at=days[5], text="x", client="app")
    await http.knows(closed, ComplaintClosed(cycle=1, reason="satisfied"))
    made["N"] = 5

    async def listed(who: str, **filters: str) -> list[int]:
        found: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await http.get("/complaints", who, limit="2", **filters, **cursor)
            assert answer.status_code == 200, answer.text
            found += [made[each["number"]] for each in answer.json()["items"]]
            if (following := answer.json().get("next")) is None:
                return found
            cursor = {"cursor": following}

    for who, filters, expected in (
        ("supervisor", {}, [0, 1, 2, 3, 4, 5]),
        ("supervisor", {"channel": "web"}, [0, 3, 4, 5]),
        ("supervisor", {"channel": "web", "state": "open"}, [0, 3, 4]),
        ("supervisor", {"channel": "web", "state": "closed"}, [5]),
        ("supervisor", {"state": "open"}, [0, 1, 2, 3, 4]),
        ("supervisor", {"state": "withdrawal-pending"}, [1]),
        ("supervisor", {"received_from": days[3].isoformat()}, [0, 1, 2, 3]),
        ("supervisor", {"received_to": days[3].isoformat(), "state": "open"}, [4]),
        ("supervisor", {"received_from": days[3].isoformat(), "received_to": days[1].isoformat()}, [2, 3]),
        ("front-end/app", {}, [0, 1, 4, 5]),
        ("front-end/app", {"channel": "web", "state": "open"}, [0, 4]),
        ("front-end/other", {}, []),
        ("agent/a//shanghai-pudong", {}, [0, 2, 3, 5]),
        ("agent/a//Shanghai-Pudong", {"channel": "web"}, [0, 3, 5]),
        ("agent/a//shanghai-jingan+shanghai-pudong", {"state": "registered"}, [0, 2, 3, 4]),
    ):
        assert await listed(who, **filters) == expected, (who, filters)
    for who in ("handler", "ops", "bi"):
        assert (await http.get("/complaints", who)).status_code == 403
    for wrong in ({"channel": "pigeon"}, {"state": "gone"}, {"received_from": "yesterday"}, {"phone": "139"}):
        assert (await http.get("/complaints", "supervisor", **wrong)).status_code == 422, wrong


async def test_front_ends_list_what_came_by_their_channels_where_a_setting_says_so(serve: Serve):
    http = await serve(service, "front-end", front_ends_reach="channel")
    for channel in ("web", "shop", "app"):
        await http.post("/complaints", GIVEN | {"channel": channel}, f"front-end/x///{channel}")
    seen = (await http.get("/complaints", "front-end/y///web+shop")).json()["items"]
    assert {each["channel"] for each in seen} == {"web", "shop"}
    assert (await http.get("/complaints", "front-end/y")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"received_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "/received_at"),
        ({"received_at": "1999-01-01T00:00:00Z"}, "/received_at"),
        ({"received_at": "2026-01-01T00:00:00Z", "since": "2026-01-02T00:00:00Z"}, "/since"),
        ({"channel": "pigeon"}, "/channel"),
        ({"text": "x" * 20_001}, "/text"),
        ({"attachments": ["a\nb"]}, "/attachments/0"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(http: OverHttp, change: dict[str, Any], pointer: str):
    answer = await http.post("/complaints", GIVEN | change)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer), answer.text
    assert await http.owner.fetch("SELECT FROM state") == []


async def test_a_customers_complaints_are_found_by_the_number_they_gave_in_whatever_form(http: OverHttp):
    numbers = [(await http.post("/complaints", {**GIVEN, "service_number": "HZ-0047"})).json()["number"] for _ in range(3)]
    await http.post("/complaints", {**GIVEN, "phone": "13900000001"})

    async def found(body: dict[str, Any], role: str = "agent") -> dict[str, Any]:
        answer = await http.post("/complaints/search", body, role)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    everything = await found({"phone": "＋86 (139) 0000-0000"}, "supervisor")
    assert {each["number"] for each in everything["items"]} == set(numbers) and "next" not in everything
    assert "13900000000" not in str(everything) and GIVEN["text"] not in str(everything)
    first = await found({"service_number": "hz 0047", "limit": 2})
    rest = await found({"service_number": "HZ0047", "limit": 2, "cursor": first["next"]})
    assert [each["number"] for each in first["items"] + rest["items"]] == [each["number"] for each in everything["items"]]
    assert (await found({"phone": "HZ-0047"}))["items"] == [] == (await found({"phone": "---"}))["items"]

    for body, role, status in (
        ({"phone": "13900000000"}, "front-end", 403),
        ({"phone": "13900000000"}, "handler", 403),
        ({}, "agent", 422),
        ({"phone": "1", "service_number": "1"}, "agent", 422),
        ({"phone": "1", "cursor": first["next"]}, "agent", 400),
    ):
        assert (await http.post("/complaints/search", body, role)).status_code == status, body


async def test_who_may_not_or_asks_for_what_is_not_there_is_told(http: OverHttp):
    path = (await http.post("/complaints", GIVEN)).json()["status"]
    unknown = f"/complaints/{uuid.uuid4()}"
    for answer, status, code in (
        (await http.get(path, "bi"), 403, "wrong-role"),
        (await http.post("/complaints", GIVEN, "handler"), 403, "wrong-role"),
        (await http.get(path, "handler"), 404, "not-found"),
        (await http.get(unknown), 404, "not-found"),
        (await http.post(f"{unknown}/chases"), 404, "not-found"),
        (await http.get("/complaints/by-number/0000-0000-000"), 404, "not-found"),
        (await http.get("/complaints/by-number/0000-0000-001"), 422, "invalid"),
        (await http.http.post(f"{path}/chases", headers={"authorization": "Bearer x"}), 401, "bad-token"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_words_are_taken_down_while_a_complaint_is_parked_and_refused_after_its_end(http: OverHttp):
    path = (await http.post("/complaints", GIVEN)).json()["status"]
    await http.owner.fetch("UPDATE state SET parked = true, revision = revision + 1")
    assert (await http.post(f"{path}/supplements", {"text": "More"})).status_code == 200
    assert (await http.get(path, "agent")).json()["internal"]["parked"] is True
    await http.owner.fetch("UPDATE state SET observed = '{\"closed\": 1}', revision = revision + 1")
    closed = await http.post(f"{path}/supplements", {"text": "More"})
    assert (closed.status_code, closed.json()["code"]) == (409, "complaint-closed")
    number = (await http.get(path)).json()["number"]
    assert f'"refers_to": "{number}"' in closed.json()["detail"]


async def test_a_new_complaint_refers_to_an_earlier_one_by_its_number_or_id(http: OverHttp):
    old = (await http.post("/complaints", GIVEN)).json()
    link = {"id": old["id"], "number": old["number"], "status": old["status"]}
    for told in (old["number"], old["number"].lower().replace("-", " "), old["id"], old["id"].upper()):
        new = await http.post("/complaints", GIVEN | {"refers_to": told}, key=told)
        assert (new.status_code, new.json()["refers_to"]) == (201, link), new.text
        assert new.json()["id"] != old["id"] and new.headers["location"] == new.json()["status"]
        assert (await http.get(new.json()["status"])).json()["refers_to"] == link
        again = await http.post("/complaints", GIVEN | {"refers_to": told}, key=told)
        assert (again.content, again.headers["etag"]) == (new.content, new.headers["etag"])
    before = await http.owner.fetch("SELECT count(*) FROM events")
    heard_of_only = str(uuid.uuid4())
    await http.owner.fetch("INSERT INTO state (subject, partition) VALUES ($1, 0)", f"complaint/{heard_of_only}")
    for unknown in ("0000-0000-000", str(uuid.uuid4()), heard_of_only):
        refused = await http.post("/complaints", GIVEN | {"refers_to": unknown})
        found = (refused.status_code, refused.json()["pointer"], refused.json()["errors"][0]["code"])
        assert found == (422, "/refers_to", "unknown-complaint"), refused.text
    assert await http.owner.fetch("SELECT count(*) FROM events") == before


async def test_a_number_is_found_by_its_index_and_given_once(http: OverHttp):
    await http.owner.fetch(FILL)
    await http.owner.fetch("ANALYZE complaints")
    plan = "\n".join(row[0] for row in await http.owner.fetch(f"EXPLAIN {BY_NUMBER.sql(1)}", "N7", 0, "", 1))
    assert BY_NUMBER.index in plan, plan
    with pytest.raises(asyncpg.UniqueViolationError):
        await http.owner.fetch("INSERT INTO complaints VALUES ('complaint/' || gen_random_uuid(), 'N7', 0)")
