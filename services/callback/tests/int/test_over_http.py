"""Return visits as agents make them: over HTTP, on the real PostgreSQL, and with Kafka out of reach, which must not matter here."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from redress_callback import testing as say
from redress_callback.main import service
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve
from redress_spine.testing import NOON


@pytest.fixture
async def http(serve: Serve) -> OverHttp:
    return await serve(service, "agent")


@pytest.fixture
async def path(http: OverHttp) -> str:
    words = {"intake/1/text": "没有信号", "intake/1/phone": "13900000000", "intake/1/address": "Pudong 1"}
    words |= {"handling/6/cause": "A cell was off", "handling/6/measures": "Switched it on"}
    return f"/visits/{await http.knows(say.registered(), say.classified(), say.routed(), say.resolved(), say.scheduled(), words=words)}"


async def test_a_customer_is_found_in_the_list_called_and_satisfied(http: OverHttp, path: str):
    (line,) = (await http.get("/visits")).json()["items"]
    assert (line["stage"], line["outcome"], line["attempts"]) == ("due", "resolved", 0)
    assert not {"phone", "text"} & line.keys()
    view = (await http.get(path)).json()
    assert (view["text"], view["phone"], view["cause"]) == ("没有信号", "13900000000", "A cell was off")
    assert "address" not in view

    missed = (await http.post(f"{path}/attempts", {"reached": False, "note": "Call after six"})).json()
    assert (missed["stage"], missed["attempts"]) == ("due", 1)
    assert (await http.get(path)).json()["notes"] == ["Call after six"]
    (note,) = (await http.get(f"{path}/notes")).json()["items"]
    assert (note["cycle"], note["attempt"], note["reached"], note["words"]) == (1, 1, False, "Call after six")
    assert missed["visit_at"] != line["visit_at"]

    said = {"reached": True, "solved": True, "satisfaction": 5, "words": "Thank you"}
    assert (await http.post(f"{path}/attempts", said)).json()["stage"] == "closed"
    ended = (await http.get(path)).json()
    assert (ended["notes"], [each["words"] for each in (await http.get(f"{path}/notes")).json()["items"]]) == ([], [None])
    assert (ended["stage"], ended["closed_as"], ended["satisfaction"], ended["phone"]) == ("closed", "satisfied", 5, None)
    assert (await http.get("/visits")).json()["items"] == []
    again = await http.post(f"{path}/attempts", said)
    assert (again.status_code, again.json()["code"]) == (409, "complaint-closed")

    identity = path.rpartition("/")[2]
    journal = await http.owner.fetch("SELECT stream, version, topic, data FROM events ORDER BY global_position")
    own = [(f"complaint/{identity}", n) for n in range(1, 5)]
    assert [(row["stream"], row["version"]) for row in journal] == [*own, (f"closed/{identity}", 1)]
    assert journal[-1]["topic"] == "complaints.closed.v1"
    record = json.loads(journal[-1]["data"])["data"]
    assert (record["complaint"], record["number"], record["satisfaction"], record["attempts"]) == (identity, line["number"], 5, 2)
    assert not any(word in row["data"].decode() for row in journal for word in ("Thank you", "Call after six"))


async def test_who_said_something_since_stands_first_and_is_to_be_called_at_once(http: OverHttp, path: str):
    due = [say.registered(), say.routed(), say.resolved(said=1), say.scheduled()]
    overdue = [say.scheduled().model_copy(update={"due_at": NOON - timedelta(days=9)})]
    known = await http.knows(*due, *overdue, say.supplemented())
    unreached = [*due, say.missed(1, said=1), say.missed(2, said=1), say.missed(3, said=1)]
    given_up = await http.knows(*unreached, say.supplemented())
    spoke = await http.knows(*unreached, say.supplemented(), (say.chased(), NOON + timedelta(hours=2)))
    asked = await http.knows(*due, say.chased(), say.supplemented(), (say.chased(2), NOON + timedelta(hours=1)))
    items = (await http.get("/visits")).json()["items"]
    assert [each["complaint"] for each in items] == [asked, spoke, known, path.rpartition("/")[2]]
    assert [each["said_since"] for each in items] == [2, 1, 0, 0]
    assert [each["said_at"] is not None for each in items] == [True, True, False, False]
    assert all(each["visit_at"] == each["said_at"] for each in items[:2])
    pages, cursor = [], ""
    while cursor is not None:
        page = (await http.get(f"/visits?limit=1{cursor and f'&cursor={cursor}'}")).json()
        pages += page["items"]
        cursor = page["next"]
    assert pages == items
    still = (await http.post(f"/visits/{given_up}/attempts", {"reached": False})).json()
    assert (still["stage"], still["attempts"], still["said_since"]) == ("unreached", 4, 0), "the department knew it"
    missed = (await http.post(f"/visits/{spoke}/attempts", {"reached": False})).json()
    assert (missed["stage"], missed["attempts"], missed["give_up_at"]) == ("due", 4, None), "it is tried anew"


async def test_a_dissatisfied_customer_sends_it_back(http: OverHttp, path: str):
    view = (await http.post(f"{path}/attempts", {"reached": True, "solved": False, "satisfaction": 1})).json()
    assert (view["stage"], view["cycle"]) == ("waiting", 2)
    assert (await http.get(path)).json()["phone"] is None
    early = await http.post(f"{path}/attempts", {"reached": False})
    assert (early.status_code, early.json()["code"]) == (409, "no-visit-due")


async def test_the_same_call_told_twice_is_one_attempt(http: OverHttp, path: str):
    for _ in range(2):
        answer = await http.post(f"{path}/attempts", {"reached": False}, key="k")
        assert (answer.status_code, answer.json()["attempts"]) == (200, 1)


async def test_visits_are_for_agents_and_supervisors(http: OverHttp, path: str):
    assert [(await http.get(path, who)).status_code for who in ("agent", "supervisor", "handler", "bi")] == [200, 200, 403, 403]
    unknown = await http.get(f"/visits/{uuid.uuid4()}")  # without Kafka nobody can say that it does not exist
    assert (unknown.status_code, unknown.json()["code"]) == (503, "not-yet")


async def test_a_body_that_cannot_be_is_refused(http: OverHttp, path: str):
    bodies: list[tuple[dict[str, Any], str]] = [
        ({"reached": True}, ""),
        ({"reached": False, "words": "Fine"}, ""),
        ({"reached": "yes"}, "/reached"),
        ({"reached": True, "solved": True, "satisfaction": 9}, "/satisfaction"),
        ({"reached": False, "note": "a\0b"}, "/note"),
        ({"reached": False, "colour": "red"}, "/colour"),
    ]
    for body, pointer in bodies:
        answer = await http.post(f"{path}/attempts", body)
        assert (answer.status_code, answer.json()["pointer"]) == (422, pointer), answer.text


async def test_two_apps_in_one_process_close_by_their_own_policies(serve: Serve, http: OverHttp):
    stricter = await serve(service, "agent", databases=http.databases, policies=replace(say.POLICY, lowest_score=4, attempts=1))
    said = {"reached": True, "solved": True, "satisfaction": 3}
    for app, after_one, ended in ((http, "due", "closed"), (stricter, "unreached", "waiting"), (http, "due", "closed")):
        visit = f"/visits/{await http.knows(say.registered(), say.resolved(), say.scheduled())}"
        assert (await app.post(f"{visit}/attempts", {"reached": False})).json()["stage"] == after_one
        assert (await app.post(f"{visit}/attempts", said)).json()["stage"] == ended


async def test_who_resolved_the_case_does_not_record_what_the_customer_thinks_of_it(serve: Serve):
    said = {"reached": True, "solved": True, "satisfaction": 5}
    for four_eyes, status in ((True, 403), (False, 200)):
        http = await serve(service, "agent", four_eyes=four_eyes)
        resolved = say.resolved().model_copy(update={"by": "ann"})
        words = {"intake/1/text": "没有信号", "intake/1/phone": "13900000000"}
        words |= {"handling/6/cause": "A cell was off", "handling/6/measures": "Switched it on"}
        path = f"/visits/{await http.knows(say.registered(), say.routed(), resolved, say.scheduled(), words=words)}"
        answer = await http.post(f"{path}/attempts", said, "supervisor/ann")
        assert answer.status_code == status, answer.text
        if status == 403:
            assert answer.json()["code"] == "own-work"
            assert (await http.get(path, "supervisor/ann")).status_code == 200
            assert (await http.post(f"{path}/attempts", said, "agent/bob")).status_code == 200
