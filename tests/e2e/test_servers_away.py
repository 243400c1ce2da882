"""Kafka away: complaints are taken down all the same, and arrive in their order later. PostgreSQL away: an honest 503, and no half of
anything; where it is one service's alone, the others go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from faults import no_database
from live import SLOW, Live, eventually, fresh_key, ok, problem
from load import DECIDED
from prometheus_client.parser import text_string_to_metric_families

from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_local.places import SERVICES
from redress_local.postgres import Postgres
from redress_spine.messaging.envelope import decode
from redress_spine.store.states import partition_of

BODY = {"channel": "app", "text": SLOW}
POSTERS, POSTS = 8, 200


def health(live: Live, service: str, which: str) -> httpx.Response:
    return live.page(service, f"/health/{which}")


def metric(live: Live, service: str, name: str) -> float:
    page = live.page(service, "/metrics").text
    return sum(sample.value for family in text_string_to_metric_families(page) for sample in family.samples if sample.name == name)


def test_with_kafka_away_complaints_are_taken_down_and_arrive_in_order_later(shaken: Live, kafka: Kafka):
    before = shaken.register(SLOW)
    shaken.case(before, "technical_support")
    shaken.idle()
    kafka.kill()
    with ThreadPoolExecutor(POSTERS) as threads:
        complaints = [complaint for some in threads.map(partial(registered, shaken), [POSTS // POSTERS] * POSTERS) for complaint in some]
    with shaken.http("intake") as client:
        for text in ("First", "Second", "Third"):
            for complaint in (before, complaints[0]):
                said = client.post(f"/complaints/{complaint}/supplements", json={"text": text}, headers={"idempotency-key": fresh_key()})
                ok(said)
    shaken.step(before, "technical_support", "accept")  # a department works on as well
    for service in SERVICES:
        assert (health(shaken, service, "live").status_code, health(shaken, service, "ready").status_code) == (200, 200), service
    assert metric(shaken, "intake", "redress_backlog_events") == POSTS + 6
    assert {shaken.view(complaint)["stage"] for complaint in complaints[::20]} == {"registered"}

    kafka.start()
    expected = {f"complaint/{each}" for each in complaints}
    eventually(lambda: expected <= set(shaken.events("triage", "complaint-routed")), "each has found its department", 60)
    eventually(lambda: shaken.view(before)["stage"] == "in-handling", "what the department did has arrived")
    shaken.verified()
    shaken.registered_once(complaints)
    for complaint, versions in ((before, [1, 2, 3, 4]), (complaints[0], [1, 2, 3, 4])):
        log = [each for each in shaken.log() if (each.subject, each.source) == (f"complaint/{complaint}", "intake")]
        assert [each.version for each in log] == versions
        words = eventually(partial(observed, shaken, complaint), f"handling has learned of {complaint}'s supplements")
        assert words == ["First", "Second", "Third"]
    assert arrived(shaken, expected) == written(shaken, expected)


def registered(live: Live, count: int) -> list[str]:
    """So many complaints, each answered with 201 at once; their ids."""
    with live.http("intake") as client:
        answers = [client.post("/complaints", json=BODY, headers={"idempotency-key": fresh_key()}) for _ in range(count)]
    return [ok(answer, 201)["id"] for answer in answers]


def arrived(live: Live, subjects: set[str]) -> dict[int, list[str]]:
    """Intake's events about these in the log's order, by partition: the first copy of each."""
    places: dict[int, dict[str, None]] = {}
    for record in sorted(live.records((LIFECYCLE,)), key=lambda record: record.offset):
        event = decode(record.value)
        if event.source == "intake" and event.subject in subjects:
            places.setdefault(record.partition, {})[f"{event.subject} {event.version}"] = None
    return {partition: list(events) for partition, events in places.items()}


def written(live: Live, subjects: set[str]) -> dict[int, list[str]]:
    """The same in the journal's order."""
    rows = live.sql("intake", "SELECT stream, version FROM public.events ORDER BY transaction_id, global_position")
    places: dict[int, list[str]] = {}
    for row in rows:
        if row["stream"] in subjects:
            places.setdefault(partition_of(row["stream"], live.stack.partitions), []).append(f"{row['stream']} {row['version']}")
    return places


def observed(live: Live, complaint: str) -> list[str]:
    case = ok(live.handler("technical_support").get("handling", f"/cases/{complaint}"))
    words = [each["words"] for each in case["supplements"]]
    return words if len(words) == 3 else []


def test_while_one_service_has_no_database_the_others_go_on_and_it_catches_up_later(shaken: Live):
    before = shaken.register(SLOW)
    shaken.case(before, "technical_support")
    shaken.idle()
    with no_database(shaken, "triage"):
        complaints = registered(shaken, 20)
        shaken.work(before, "technical_support")
        shaken.visit(before, reached=True, solved=True, satisfaction=5)
        shaken.reaches(before, "closed")
        expected = {f"complaint/{each}" for each in complaints}
        eventually(lambda: expected <= set(shaken.events("sla-monitor", "clock-started")), "their clocks run")
        with shaken.http("triage", "agent") as client:
            away(client.get(f"/complaints/{before}/classification"))
            refused = client.post(f"/complaints/{before}/reclassification", json=DECIDED, headers={"idempotency-key": fresh_key()})
            away(refused)
        assert (health(shaken, "triage", "live").status_code, health(shaken, "triage", "ready").status_code) == (200, 503)
        assert {health(shaken, service, "ready").status_code for service in SERVICES if service != "triage"} == {200}
        assert {shaken.view(complaint)["stage"] for complaint in complaints} == {"registered"}
    eventually(lambda: expected <= set(shaken.events("triage", "complaint-routed")), "each has found its department")
    shaken.verified()
    shaken.registered_once([before, *complaints])


def test_with_postgres_away_the_answer_is_503_and_the_same_key_makes_one_complaint_later(shaken: Live, postgres: Postgres):
    complaint = shaken.register(SLOW)
    shaken.case(complaint, "technical_support")
    shaken.idle()
    before, keys = shaken.journals(), [fresh_key() for _ in range(5)]
    postgres.kill()
    with shaken.http("intake") as client:
        for key in keys:
            away(client.post("/complaints", json=BODY, headers={"idempotency-key": key}))
        away(client.get(f"/complaints/{complaint}"))
    for service, role, path in (
        ("triage", "agent", f"/complaints/{complaint}/classification"),
        ("handling", "supervisor", "/cases"),
        ("sla-monitor", "agent", f"/complaints/{complaint}/clocks"),
        ("callback", "agent", "/visits"),
    ):
        with shaken.http(service, role) as client:
            away(client.get(path))
    for service in SERVICES:
        assert health(shaken, service, "live").status_code == 200, service
        ready = health(shaken, service, "ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "not-ready")
        assert ready.json()["reasons"]
    with shaken.http("intake", None) as client:
        problem(client.post("/complaints", json=BODY), 401, "no-token")  # who may not is told so, database or not

    postgres.start()
    assert shaken.journals() == before, "what was refused left nothing behind"
    shaken.system.wait_ready()
    made = [ok(shaken.front_end.post("intake", "/complaints", BODY, key=key), 201)["id"] for key in keys]
    again = [ok(shaken.front_end.post("intake", "/complaints", BODY, key=key), 201)["id"] for key in keys]
    assert made == again
    for each in made:
        shaken.reaches(each, "routed")
    shaken.verified()
    shaken.registered_once(made)


def away(answer: httpx.Response) -> None:
    problem(answer, 503, "unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_postgres_killed_while_complaints_come_in_loses_none_that_was_answered(shaken: Live, postgres: Postgres):
    answered: dict[str, str] = {}
    keys = [fresh_key() for _ in range(60)]
    with shaken.http("intake") as client:
        for number, key in enumerate(keys):
            if number == 30:
                postgres.kill()
            if number == 45:
                postgres.start()
            try:
                answer = client.post("/complaints", json=BODY, headers={"idempotency-key": key})
            except httpx.ReadTimeout:
                pytest.fail("an answer comes in time, whatever is away")
            if answer.status_code == 201:
                answered[key] = answer.json()["id"]
            else:
                away(answer)
    assert 30 <= len(answered) <= 45
    for key in keys:
        complaint = ok(shaken.front_end.post("intake", "/complaints", BODY, key=key), 201)["id"]
        assert answered.setdefault(key, complaint) == complaint
    shaken.system.wait_ready()
    shaken.verified()
    shaken.registered_once(list(answered.values()))
