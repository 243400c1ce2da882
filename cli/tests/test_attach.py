"""What the commands are attached to: services that are not ready among them, and servers that took the place of others."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from redress_cli.console import kafka_of
from redress_cli.main import app
from redress_local.issuer import Issuer
from redress_local.places import SERVICES, free_ports
from redress_local.processes import run
from redress_local.provision import Databases
from redress_local.state import COMPOSE, Stack, read_stack
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store import connections

DOCKER = """\
#!/bin/sh
# An engine's `docker compose`, as far as `attach` asks it.
for last; do :; done
case "$4" in
  config) exec {compose} --project-directory "$3" config --format json ;;
  cp) cp -r {keys}/. "$last" ;;
esac
"""
REASON = "The journal of intake did not grow on this PostgreSQL cluster and timeline: redress adopt intake"
NOWHERE = "127.0.0.1:9"


class NotReady(BaseHTTPRequestHandler):
    """A service whose database was restored."""

    def do_GET(self) -> None:
        body = b"" if self.path == "/metrics" else json.dumps({"status": "not-ready", "reasons": [REASON]}).encode()
        self.send_response(200 if self.path == "/metrics" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def listening(port: int) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", port), NotReady) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Of the services, as the environment tells Compose; and a `docker` that knows what Compose would."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    for service, port in ports.items():
        monkeypatch.setenv(f"REDRESS_{service.upper().replace('-', '_')}_PORT", str(port))
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    keys = Issuer(tmp_path / "keys").folder
    docker.write_text(DOCKER.format(compose=Path(sys.executable).with_name("docker-compose"), keys=keys))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return ports


def redress(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--folder", str(folder)])


def said(result: Result) -> str:
    return " ".join(result.output.split())


def stack_in(folder: Path, urls: dict[str, str], servers: str = "given", kafka: str = NOWHERE) -> Stack:
    """One whose servers are all gone."""
    folder.mkdir(exist_ok=True)
    databases = {
        service: {
            "name": f"redress_{service}",
            "owner_dsn": f"postgresql://{service}_owner:a@{NOWHERE}/redress_{service}",
            "app_dsn": f"postgresql://{service}_app:b@{NOWHERE}/redress_{service}?sslmode=disable",
        }
        for service in SERVICES
    }
    keys = Issuer(folder / "keys")
    issuer = {"folder": str(folder), "master_key": str(keys.master_key), "mac_keys": str(keys.mac_keys)}
    stack = Stack(str(folder), servers, kafka, f"postgresql://postgres@{NOWHERE}/postgres", 12, urls, {}, databases, issuer, [])
    stack.write()
    return stack


def test_services_that_wait_for_their_adoption_are_attached_to_and_named(ports: dict[str, int], tmp_path: Path):
    folder = tmp_path / "stack"
    with ExitStack() as open_:
        for port in list(ports.values())[:2]:
            open_.enter_context(listening(port))
        done = redress(folder, "attach")
        assert done.exit_code == 0, done.output
        assert f"Not ready: {', '.join(SERVICES)}. See why: redress status" in said(done)
        shown = redress(folder, "status")
    assert f"intake, triage: {REASON}" in said(shown)
    assert read_stack(folder).servers == COMPOSE


def test_where_no_service_answers_nothing_is_attached_to(ports: dict[str, int], tmp_path: Path):
    done = redress(tmp_path / "stack", "attach")
    assert done.exit_code == 1
    assert "No service answers" in done.output
    assert not (tmp_path / "stack/state.json").exists()


def test_the_environment_tells_how_kafka_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "stack"
    stack = stack_in(folder, {})
    assert kafka_of(stack) == KafkaClients(NOWHERE)
    monkeypatch.setenv("REDRESS_KAFKA_SECURITY", "SSL")
    assert kafka_of(stack) == KafkaClients(NOWHERE, security="SSL")
    monkeypatch.setenv("REDRESS_KAFKA_PASSWORD", "hidden")
    for words in (["verify"], ["rebuild", "triage"], ["restore-log"], ["tail"]):
        refused = redress(folder, *words)
        assert refused.exit_code == 1 and "REDRESS_KAFKA_PASSWORD: " in said(refused) and "hidden" not in said(refused), words


def test_servers_that_moved_are_looked_for_where_they_are_now(tmp_path: Path):
    folder, (port,) = tmp_path / "stack", free_ports(1)
    before = stack_in(folder, {"intake": f"http://127.0.0.1:{port}"})
    with listening(port):
        assert redress(folder, "attach", "--postgres", "intake=new:5433", "--kafka", "other:9092").exit_code == 0
        one = read_stack(folder)
        assert redress(folder, "attach", "--postgres", "two:1", "--postgres", "callback=three:2").exit_code == 0
    assert one.kafka == "other:9092"
    assert one.databases["intake"] == {
        "name": "redress_intake",
        "owner_dsn": "postgresql://intake_owner:a@new:5433/redress_intake",
        "app_dsn": "postgresql://intake_app:b@new:5433/redress_intake?sslmode=disable",
    }
    assert {service: each for service, each in one.databases.items() if service != "intake"} == {
        service: each for service, each in before.databases.items() if service != "intake"
    }
    moved = read_stack(folder)
    assert "@three:2/" in moved.databases["callback"]["owner_dsn"]
    assert all("@two:1/" in moved.databases[service]["app_dsn"] for service in SERVICES if service != "callback")
    assert asdict(moved) | {"databases": None, "kafka": None} == asdict(before) | {"databases": None, "kafka": None}


@pytest.mark.parametrize("words", [("--postgres", "intake=new"), ("--postgres", "nobody=new:1"), ("--kafka", "a/b:1"), ()])
def test_what_is_no_address_and_a_stack_of_ones_own_are_refused(words: tuple[str, ...], tmp_path: Path):
    stack_in(tmp_path, {})
    before = read_stack(tmp_path)
    assert redress(tmp_path, "attach", *words).exit_code == 1
    assert read_stack(tmp_path) == before


def test_after_a_failover_to_another_address_commands_ask_the_new_servers(callback: Databases, kafka_address: str, tmp_path: Path):
    (port,) = free_ports(1)
    stack = stack_in(tmp_path, {"callback": f"http://127.0.0.1:{port}"})
    place = callback.owner_dsn.rpartition("@")[2].partition("/")[0]
    stack.databases["callback"] = {
        "name": callback.name,
        "owner_dsn": callback.owner_dsn.replace(place, NOWHERE),
        "app_dsn": callback.app_dsn.replace(place, NOWHERE),
    }
    stack.write()
    asked = redress(tmp_path, "adopt", "callback")
    assert "callback was not adopted: Connect" in said(asked)
    assert "Its journal is as it was" in said(asked), "a database that was not reached was not closed to commands"
    with listening(port):
        assert redress(tmp_path, "attach", "--postgres", f"callback={place}", "--kafka", kafka_address).exit_code == 0
    done = redress(tmp_path, "verify", "callback")
    assert done.exit_code == 0, done.output
    away = redress(tmp_path, "verify", "callback", "intake")
    assert away.exit_code == 1
    assert "equal" in away.output, "the report of the one that was there is gone"
    assert "intake cannot be verified: Connect" in said(away)


AT_HOME = "SELECT timeline FROM birthplace"


def test_an_adoption_says_whether_commands_are_taken(callback: Databases, tmp_path: Path):
    stack = stack_in(tmp_path, {})
    stack.databases["callback"] = {"name": callback.name, "owner_dsn": callback.owner_dsn, "app_dsn": callback.app_dsn}
    stack.write()

    async def do(sql: str) -> int:
        connection = await connections.connect(callback.owner_dsn)
        try:
            return int(await connection.fetchval(sql))
        finally:
            await connection.close()

    before = run(do(AT_HOME))
    at_home = redress(tmp_path, "adopt", "callback")
    assert at_home.exit_code == 1
    assert "Its journal is as it was: open to commands if it was" in said(at_home)
    assert run(do(AT_HOME)) == before
    run(do("UPDATE birthplace SET timeline = timeline + 1 RETURNING timeline"))  # as a restore leaves it
    restored = redress(tmp_path, "adopt", "callback")
    assert restored.exit_code == 1
    assert "It accepts no command until it is adopted" in said(restored)
    Path(stack.issuer["master_key"]).unlink()
    without_key = redress(tmp_path, "adopt", "callback")
    assert without_key.exit_code == 1
    assert "the master key cannot be read from" in said(without_key)


def test_a_restore_that_changed_nothing_does_not_say_that_relays_wait(tmp_path: Path):
    stack_in(tmp_path, {})
    done = redress(tmp_path, "restore-log")
    assert done.exit_code == 1
    assert "Nothing was changed: relays do what they did before." in said(done)
