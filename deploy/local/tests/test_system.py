"""The whole system's life with a service of a few lines: databases, topics, environment, readiness, SIGKILL, a bad start."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from redress_local import prepare as module
from redress_local.places import ENTRIES
from redress_local.processes import StartFailed
from redress_local.reviving import ended, revive
from redress_local.state import read_stack
from redress_local.system import System
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store import connections

MAIN = """
import os
from types import SimpleNamespace
from fastapi import FastAPI

service = SimpleNamespace(fold=1)
app = FastAPI()

@app.get("/health/ready")
def ready():
    return {"ready": True}

@app.get("/told")
def told():
    return {name: value for name, value in os.environ.items() if name.startswith("REDRESS_")}

if os.environ.get("REDRESS_TEST_FAULT"):
    raise SystemExit("the reason, in words")
"""


@pytest.fixture
def folder(monkeypatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        top = Path(name)
        for service in ("toy", "toy-two"):
            name = "redress_" + service.replace("-", "_")
            monkeypatch.setitem(ENTRIES, service, replace(ENTRIES["intake"], name=service, package=name, database=name))
            package = top / "code" / name
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            (package / "main.py").write_text(MAIN)
        (top / "migrations").mkdir()
        (top / "migrations" / "20990101000000_nothing.sql").write_text("-- migrate:up\nSELECT 1;\n-- migrate:down\n")
        monkeypatch.setattr(module, "migrations", lambda _: top / "migrations")
        monkeypatch.syspath_prepend(top / "code")
        monkeypatch.setenv("PYTHONPATH", str(top / "code"))
        yield top / "stack"
        for each in [each for each in sys.modules if each.startswith("redress_toy")]:
            del sys.modules[each]


async def topics(address: str) -> set[str]:
    admin = KafkaClients.of(address).admin()
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_services_are_told_all_they_need_and_come_back_after_sigkill(folder):
    said: list[str] = []
    with System(folder, services=["toy", "toy-two"], environment={"REDRESS_SPECIAL": "1"}, progress=said.append) as system:
        assert "toy-two is ready" in said
        assert {"complaints.lifecycle.v1", "complaints.keys.v1"} <= await topics(system.servers.kafka)
        environment = httpx.get(system.urls["toy-two"] + "/told").json()
        assert environment["REDRESS_KAFKA"] == system.servers.kafka
        assert len(Path(environment["REDRESS_MASTER_KEY_FILE"]).read_bytes()) == 32
        assert (environment["REDRESS_AUDIENCE"], environment["REDRESS_PROFILE"], environment["REDRESS_SPECIAL"]) == (
            "redress",
            "local",
            "1",
        )
        app = await connections.connect(environment["REDRESS_DATABASE_URL"])
        assert await app.fetchval("SELECT count(*) FROM live") == 1
        await app.close()
        assert read_stack(folder).running == ["postgres", "kafka", "toy", "toy-two"]

        address, pid = system.urls["toy"], read_stack(folder).pids["toy"]
        system.kill("toy")
        assert read_stack(folder).running == ["postgres", "kafka", "toy-two"]
        system.start_service("toy")
        assert system.urls["toy"] == address
        assert httpx.get(address + "/health/ready").status_code == 200
        assert read_stack(folder).pids["toy"] != pid
        stack = read_stack(folder)
    assert stack.running == []
    with System(folder, services=["toy", "toy-two"]) as system:  # again, on what is there
        assert system.urls["toy"] == address


def test_what_ended_of_a_stack_is_started_again_alone_as_it_was(folder):
    with System(folder, services=["toy", "toy-two"], replicas=2, settle_seconds=3.5) as system:
        before = read_stack(folder)
        told = httpx.get(before.all_urls["toy-2"] + "/told").json()
        assert ended(before) == []
        for name in ("toy-2", "toy-two"):
            system.children[name].kill()
        kafka = system.servers.kafka_server
        assert kafka is not None
        kafka.kill()
        names = ended(read_stack(folder))
        assert names == ["kafka", "toy-2", "toy-two"]
        said: list[str] = []
        after = revive(read_stack(folder), names, said.append)
        try:
            assert said[0] == "kafka is ready" and sorted(said[1:]) == ["toy-2 is ready", "toy-two is ready"]
            assert after == read_stack(folder) and ended(after) == []
            assert (after.all_urls, after.kafka) == (before.all_urls, before.kafka)
            assert httpx.get(after.all_urls["toy-2"] + "/told").json() == told
            kept = {"postgres", "toy", "toy-two-2"}
            assert {name for name, pid in after.pids.items() if before.pids[name] == pid} == kept
        finally:
            for each in after.processes:
                if each.name in names:
                    each.stop()


def test_replicas_have_addresses_logs_and_names_of_their_own_and_one_database(folder):
    with System(folder, services=["toy", "toy-two"], replicas=2) as system:
        stack = read_stack(folder)
        assert stack.running == ["postgres", "kafka", "toy", "toy-2", "toy-two", "toy-two-2"]
        assert stack.urls == system.urls
        assert list(stack.all_urls) == ["toy", "toy-2", "toy-two", "toy-two-2"]
        assert len(set(stack.all_urls.values())) == 4
        one, two = (httpx.get(stack.all_urls[name] + "/told").json() for name in ("toy", "toy-2"))
        assert one == two
        assert {Path(stack.logs[name]).exists() for name in stack.all_urls} == {True}

        address = stack.all_urls["toy-2"]
        system.kill("toy-2")
        assert httpx.get(stack.urls["toy"] + "/health/ready").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(address + "/health/ready")
        system.start_service("toy-2")
        assert httpx.get(address + "/health/ready").status_code == 200
        system.stop_service("toy")
        assert read_stack(folder).running == ["postgres", "kafka", "toy-two", "toy-two-2", "toy-2"]
        system.children["toy-two-2"].kill()  # and not by the system, so it counts as dead
        assert system.dead() == ["toy-two-2"]
        with pytest.raises(StartFailed, match="toy-two-2 ended at its start"):
            system.wait_ready(["toy-two-2"])
        stack = read_stack(folder)
        stack.stop()  # as `redress down` does
        assert stack.running == []


def test_a_service_that_ends_at_its_start_shows_its_reason_and_leaves_nothing_running(folder):
    with pytest.raises(StartFailed, match=r"toy ended at its start(?s:.*)the reason, in words"):
        System(folder, services=["toy"], environment={"REDRESS_TEST_FAULT": "1"}).start()
    assert not (folder / "state.json").exists()
    assert not list((folder / "postgres" / "data").glob("postmaster.pid"))
