"""A service as its operators meet it: settings, start, health, metrics, logs, and its OpenAPI document.

Long, for one stand-in serves all of it.
"""

import asyncio
import logging
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from pydantic import TypeAdapter

import redress_chassis.running
from redress_chassis import Meanings
from redress_chassis.edge import logs
from redress_chassis.settings import BadSettings, Settings
from redress_chassis.version import VERSION
from redress_spine.messaging.mac import make_keys
from redress_spine.processing.clock import SteppingClock
from redress_spine.store.engine import Idle, JournalRestored, ServerSeen, Unavailable

GOOD = {"title": "a", "text": "b"}
ROOT = Path(__file__).parents[4]
SECRET = "secret words of a customer"
NEEDED = {
    "REDRESS_DATABASE_URL": "postgresql://user:hidden@host/db",
    "REDRESS_KAFKA": "host:9092",
    "REDRESS_JWKS": "jwks.json",
    "REDRESS_ISSUER": "https://issuer.example",
    "REDRESS_PROFILE": "local",
}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    make_keys(tmp_path / "mac", ["jar"])
    for name, value in {**NEEDED, "REDRESS_MASTER_KEY_FILE": str(key), "REDRESS_MAC_KEYS_DIR": str(tmp_path / "mac")}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_settings_come_from_the_environment(environment):
    environment.setenv("REDRESS_LOG_LEVEL", "WARNING")
    environment.setenv("REDRESS_SETTLE_SECONDS", "0.5")
    settings = Settings.read()

    assert (settings.audience, settings.partitions, settings.max_body) == ("redress", 12, 262144)
    assert (settings.log_level, settings.settle_seconds, settings.master_key_file.read_bytes()) == ("warning", 0.5, bytes(32))
    assert "hidden" not in repr(settings)


def test_every_wrong_setting_is_named_and_none_is_shown(environment, tmp_path):
    environment.delenv("REDRESS_ISSUER")
    environment.setenv("REDRESS_DATABASE_URL", "mysql://user:hidden@host")
    environment.setenv("REDRESS_MASTER_KEY_FILE", str(tmp_path / "absent"))
    environment.setenv("REDRESS_MAC_KEYS_DIR", str(tmp_path / "absent"))
    environment.setenv("REDRESS_PARTITIONS", "0")

    with pytest.raises(BadSettings) as caught:
        Settings.read()

    lines = str(caught.value).splitlines()
    wrong = {"REDRESS_ISSUER", "REDRESS_DATABASE_URL", "REDRESS_MASTER_KEY_FILE", "REDRESS_MAC_KEYS_DIR", "REDRESS_PARTITIONS"}
    assert {line.partition(":")[0] for line in lines} == wrong
    assert "hidden" not in str(caught.value)


def test_a_folder_of_keys_without_the_services_own_is_refused_with_what_to_do(environment):
    settings = Settings.read()
    assert settings.mac_keys("jar").sign("jar", "t", b"k", b"v", None, bytes(32))
    with pytest.raises(BadSettings, match=r"^REDRESS_MAC_KEYS_DIR: .* has no key of intake.*Write 32 random bytes to intake.1.key"):
        settings.mac_keys("intake")


def test_a_stepping_clock_is_for_the_local_profile_alone(environment, tmp_path):
    clock = SteppingClock.make(tmp_path / "clock", datetime(2026, 2, 13, tzinfo=UTC))
    environment.setenv("REDRESS_CLOCK_FILE", str(clock.file))
    for profile in ("production", "PRODUCTION"):
        environment.setenv("REDRESS_PROFILE", profile)
        with pytest.raises(BadSettings, match=r"^REDRESS_CLOCK_FILE: .*REDRESS_PROFILE=local alone"):
            Settings.read()
    environment.delenv("REDRESS_PROFILE")
    with pytest.raises(BadSettings, match=r"^REDRESS_CLOCK_FILE: "):
        Settings.read()

    environment.setenv("REDRESS_PROFILE", "local")
    assert Settings.read().clock_file == clock.file
    environment.setenv("REDRESS_CLOCK_FILE", str(tmp_path / "absent"))
    with pytest.raises(BadSettings, match=r"^REDRESS_CLOCK_FILE: .*contains no stepping clock"):
        Settings.read()


async def test_quiet_is_told_where_the_clock_steps_and_nowhere_else(client, jar, tmp_path):
    answer = await client.get("/idle")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")

    jar.clock = SteppingClock.make(tmp_path / "clock", datetime(2026, 2, 13, tzinfo=UTC))
    answer = await client.get("/idle")
    assert answer.status_code == 200
    assert TypeAdapter(Idle).validate_json(answer.content) == await jar.idle()
    assert answer.json()["clock"] == "2026-02-13T00:00:00Z"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"])
async def test_operators_need_no_token(client, path):
    assert (await client.get(path)).status_code == 200


async def test_which_release_and_build_runs_is_said_by_health_by_the_metrics_and_by_the_log(service, settings, jar, capsys):
    app = service.app(settings.model_copy(update={"build": "4f2c1e9"}), engine=jar)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar") as client:
        assert (await client.get("/health/live")).json() == {"status": "live", "version": VERSION, "build": "4f2c1e9"}
        assert f'redress_build_info{{build="4f2c1e9",service="jar",version="{VERSION}"}} 1.0' in (await client.get("/metrics")).text
    (line,) = [line for line in lines(capsys.readouterr().out) if line["event"] == "starting"]
    assert (line["version"], line["build"], line["service.name"]) == (VERSION, "4f2c1e9", "jar")


def test_every_package_has_the_version_that_is_told():
    declared = {path: tomllib.loads(path.read_text())["project"]["version"] for path in ROOT.glob("*/*/pyproject.toml")}
    declared[ROOT / "cli"] = tomllib.loads((ROOT / "cli/pyproject.toml").read_text())["project"]["version"]
    assert {str(path): version for path, version in declared.items() if version != VERSION} == {}


def test_a_collector_has_an_address_and_a_build_a_name(environment):
    environment.setenv("REDRESS_OTLP_ENDPOINT", "https://otel.example:4318/")
    environment.setenv("REDRESS_BUILD", "4f2c1e9")
    settings = Settings.read()
    assert (settings.otlp_endpoint, settings.otlp_sample, settings.build) == ("https://otel.example:4318", 1.0, "4f2c1e9")
    environment.setenv("REDRESS_OTLP_ENDPOINT", "")
    assert Settings.read().otlp_endpoint is None

    for name, value in {"OTLP_ENDPOINT": "otel.example:4318", "OTLP_SAMPLE": "1.5", "BUILD": 'a"b'}.items():
        environment.setenv(f"REDRESS_{name}", value)
    with pytest.raises(BadSettings) as caught:
        Settings.read()
    assert {line.partition(":")[0] for line in str(caught.value).splitlines()} == {
        "REDRESS_OTLP_ENDPOINT",
        "REDRESS_OTLP_SAMPLE",
        "REDRESS_BUILD",
    }


async def test_a_service_that_is_not_ready_says_why(client, jar):
    jar.ready = False
    answer = await client.get("/health/ready")

    assert (answer.status_code, answer.json()["reasons"]) == (503, ["The log was not yet read to its end."])
    assert (await client.get("/health/live")).status_code == 200


async def test_a_service_says_which_server_is_away_and_what_it_cannot_do_meanwhile(client, jar):
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    jar.seen = {"kafka": ServerSeen(False), "postgresql": ServerSeen(True, 0.25)}
    jar.cannot = ["Kafka does not answer."]
    assert (await client.get("/health/ready")).json() == {
        "status": "ready",
        "cannot": ["Kafka does not answer."],
        "servers": {"kafka": {"up": False, "seconds": None}, "postgresql": {"up": True, "seconds": 0.25}},
    }
    jar.fails = Unavailable("away")  # no measure of the engine can be had, and these can
    text = (await client.get("/metrics")).text
    assert 'redress_server_up{server="kafka"} 0.0' in text
    assert 'redress_server_up{server="postgresql"} 1.0' in text
    assert 'redress_server_seconds{server="postgresql"} 0.25' in text
    assert 'redress_server_seconds{server="kafka"}' not in text


async def test_who_comes_while_all_places_are_taken_is_told_when_to_come_again_and_nothing_is_done(service, settings, jar, issuer):
    app = service.app(settings.model_copy(update={"max_under_way": 2}), engine=jar)
    taken, leave = asyncio.Semaphore(0), asyncio.Event()
    create = jar.create

    async def waiting(*args, **options):
        taken.release()
        await leave.wait()
        return await create(*args, **options)

    jar.create = waiting
    headers = {"authorization": f"Bearer {issuer.token('front-end')}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar", headers=headers) as client,
    ):

        def post(key):
            return client.post("/notes", json=GOOD, headers={"idempotency-key": key})

        first = [asyncio.create_task(post(key)) for key in "ab"]
        for _ in first:
            await taken.acquire()
        answer = await post("c")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "1")
        assert (await client.get("/health/live")).status_code == 200
        assert 'status="503"} 1.0' in (await client.get("/metrics")).text
        leave.set()
        assert [each.status_code for each in await asyncio.gather(*first)] == [201, 201]
        assert (await post("c")).status_code == 201


async def test_a_service_whose_loop_is_stuck_asks_to_be_restarted_and_still_answers(client, alice, jar):
    jar.stuck = ["The relay has made no turn for 60 s."]
    answer = await client.get("/health/live")

    assert (answer.status_code, answer.json()) == (503, {"status": "broken", "reasons": jar.stuck, "version": VERSION, "build": "unknown"})
    assert (await alice.post("/notes", json=GOOD)).status_code == 201


async def test_a_service_starts_without_its_database_and_goes_on_when_it_comes(service, settings, jar, issuer, monkeypatch):
    monkeypatch.setattr(redress_chassis.running, "START_TIMEOUT", 0.01)
    monkeypatch.setattr(redress_chassis.running, "RETRY", 0.01)
    jar.fails = Unavailable("The database of jar does not answer.")
    app = service.app(settings, engine=jar)
    headers = {"authorization": f"Bearer {issuer.token('front-end')}", "idempotency-key": "k"}

    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar") as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).json()["reasons"] == ["The database of jar does not answer."]
        answer = await client.post("/notes", json=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

        jar.fails = None
        await asyncio.wait_for(app.state.serving.starting, 5)
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.post("/notes", json=GOOD, headers=headers)).status_code == 201
    assert not jar.running


async def test_a_restored_journal_waits_for_its_adoption_and_says_so_to_everybody(service, settings, jar, issuer, monkeypatch):
    monkeypatch.setattr(redress_chassis.running, "START_TIMEOUT", 0.01)
    monkeypatch.setattr(redress_chassis.running, "RETRY", 0.01)
    jar.fails = JournalRestored("jar")
    app = service.app(settings, engine=jar)
    headers = {"authorization": f"Bearer {issuer.token('front-end')}", "idempotency-key": "k"}

    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar") as client:
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert "redress adopt jar" in ready.json()["reasons"][0]
        assert (await client.get("/health/live")).status_code == 200, "no restart mends it"
        assert "redress_journal_restored 1.0" in (await client.get("/metrics")).text
        answer = await client.post("/notes", json=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "journal-restored", "60")

        jar.fails = None
        await asyncio.wait_for(app.state.serving.starting, 5)
        assert (await client.get("/health/ready")).status_code == 200
        assert "redress_journal_restored 0.0" in (await client.get("/metrics")).text
        assert (await client.post("/notes", json=GOOD, headers=headers)).status_code == 201


async def test_a_start_that_can_never_succeed_ends_the_process(service, settings, jar):
    jar.fails = ValueError("no such kind")
    app = service.app(settings, engine=jar)
    with pytest.raises(ValueError, match="no such kind"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_service_is_imported_without_an_environment_but_not_started(service):
    app = service.app()
    with pytest.raises(BadSettings):
        async with app.router.lifespan_context(app):
            pass


async def test_the_spine_can_be_watched(alice, jar):
    first = await alice.post("/notes", json=GOOD)
    again = await alice.post("/notes", json=GOOD)
    assert [each.headers.get("idempotency-replayed") for each in (first, again)] == [None, "true"]
    await alice.post("/notes", json={**GOOD, "text": "refuse"}, headers={"idempotency-key": "other"})
    await alice.get("/nowhere/13800138000")
    text = (await alice.get("/metrics")).text

    for line in (
        "redress_backlog_events 3.0",
        "redress_lag_records 7.0",
        "redress_lag_seconds 1.5",
        "redress_parked_subjects 1.0",
        "redress_dead_letters 2.0",
        "redress_stuck_rows 0.0",
        "redress_oldest_transaction_seconds 0.25",
        "redress_relay_leader 1.0",
        'redress_automations_total{outcome="decided",work="open"} 4.0',
        'redress_commands_total{command="take_note",outcome="done"} 1.0',
        'redress_commands_total{command="take_note",outcome="replayed"} 1.0',
        'redress_commands_total{command="take_note",outcome="jar-full"} 1.0',
        'redress_request_seconds_count{method="POST",route="/notes",status="201"} 2.0',
        'redress_request_seconds_count{method="GET",route="",status="404"} 1.0',
    ):
        assert line in text
    assert "13800138000" not in text


async def test_operators_read_the_log_through_a_service_page_by_page(client, issuer, alice):
    ops = {"authorization": f"Bearer {issuer.token('ops')}"}
    first = (await client.get("/ops/log", headers=ops)).json()
    assert first == {"events": [{"id": "note/1/jar/1", "data": {}}], "unproved": [], "next": "4.4", "at_end": False}
    assert (await client.get("/ops/log", params={"after": first["next"], "wait": 1}, headers=ops)).json()["next"] == "5.4"
    wrong = await client.get("/ops/log", params={"after": "7"}, headers=ops)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad-cursor")
    for odd in ({"after": "1.x"}, {"after": "1" * 19}, {"since": "2026-02-13T09:00:00"}, {"wait": 21}, {"subject": "note"}):
        assert (await client.get("/ops/log", params=odd, headers=ops)).status_code == 422, odd
    assert (await alice.get("/ops/log")).status_code == 403


async def test_measures_that_cannot_be_had_are_missing_not_old(alice, jar):
    await alice.get("/metrics")
    jar.fails = Unavailable("away")
    text = (await alice.get("/metrics")).text

    assert "redress_measured 0.0" in text
    assert "redress_backlog_events" not in text


def lines(captured: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in captured.splitlines()]


async def test_each_request_leaves_one_line_without_personal_data(alice, capsys):
    created = await alice.post("/notes", json={**GOOD, "text": SECRET})
    await alice.get(f"/notes/{created.json()['id']}", params={"13800138000": "x"})
    await alice.get("/13800138000")
    out = capsys.readouterr().out

    assert "13800138000" not in out
    assert SECRET not in out
    requests = [line for line in lines(out) if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/notes", 201),
        ("GET", "/notes/{note}", 422),
        ("GET", "", 404),
    ]
    assert requests[0]["subject"] == f"note/{created.json()['id']}"
    assert requests[2]["code"] == "not-found"
    assert all(re.fullmatch("[0-9a-f]{32}", line["trace_id"]) and line["service.name"] == "jar" and line["ms"] >= 0 for line in requests)


@pytest.mark.parametrize(("text", "status"), [("explode", 500), ("cut the line", 503)])
async def test_our_own_mistakes_are_logged_by_place_and_never_by_message(alice, capsys, text, status):
    answer = await alice.post("/notes", json={**GOOD, "text": text})
    out = capsys.readouterr().out

    assert answer.status_code == status
    assert SECRET not in answer.text + out
    failed = next(line for line in lines(out) if line["event"] == "failed")
    assert failed["error"] in ("LookupError", "ConnectionResetError")
    assert any("conftest.py" in frame and frame.endswith(" add") for frame in failed["at"])
    assert failed["trace_id"] == answer.json()["trace"]
    assert re.fullmatch("[0-9a-f]{16}", failed["span_id"])


def test_other_libraries_log_into_the_same_lines_and_without_messages_of_exceptions(capsys):
    logs.configure("jar")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\nTraceback: %s", SECRET)
        structlog.get_logger().exception("ours")
    logging.getLogger("uvicorn.access").info("GET /?phone=13800138000")
    logging.getLogger("asyncio").info("chatter")
    out = capsys.readouterr().out

    assert SECRET not in out
    theirs, ours = lines(out)
    assert (theirs["event"], theirs["error"], theirs["logger"]) == ("Exception in ASGI application", "ValueError", "uvicorn.error")
    assert (ours["event"], ours["error"], ours["service.name"], ours["level"]) == ("ours", "ValueError", "jar", "error")


async def test_the_document_says_what_the_front_door_does(client):
    document = (await client.get("/openapi.json")).json()
    post, get = document["paths"]["/notes"]["post"], document["paths"]["/notes"]["get"]

    assert {"name": "Idempotency-Key", "required": True}.items() <= post["parameters"][0].items()
    assert {"400", "401", "403", "409", "413", "415", "422", "429", "503", "201"} == set(post["responses"])
    assert post["security"] == [{"token": ["agent"]}, {"token": ["front-end"]}], "one of them is enough"
    assert (post["operationId"], post["responses"]["201"]["headers"].keys()) == ("takeNote", {"Location", "ETag", "Idempotency-Replayed"})
    assert all("Retry-After" in post["responses"][status]["headers"] for status in ("429", "503"))
    assert "agent, front-end" in post["description"]
    assert {"400", "401", "403", "422", "429", "503", "200"} == set(get["responses"])
    assert "/health/live" not in document["paths"]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["servers"] == [{"url": "/", "description": "The address at which this document is served."}]


@pytest.mark.parametrize("page", ["/docs", "/docs/redoc"])
async def test_the_pages_that_show_the_interface_ask_nothing_of_another_host(client, page):
    shown = await client.get(page)
    references = re.findall(r'(?:src|href|data-document)="([^"]*)"', shown.text)
    assert len(references) == 5 and all(each.startswith("/") and not each.startswith("//") for each in references)
    for each in references:
        answer = await client.get(each)
        assert answer.status_code == 200 and answer.content, each
    assert "<script>" not in shown.text and "<style" not in shown.text
    policy = shown.headers["content-security-policy"]
    assert "http" not in policy and "script-src 'self';" in policy and "default-src 'none'" in policy


def test_two_schemas_of_one_name_are_an_error(service, settings, jar):
    meanings = Meanings(names={"NoteBody": "Note", "NoteView": "Note"})
    service.meanings = meanings
    with pytest.raises(ValueError, match="would be called Note"):
        service.app(settings, engine=jar).openapi()
