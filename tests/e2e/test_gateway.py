"""All services at one address: the proxy of docker-compose.yml, with the file that it has there, before a running system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from live import SLOW, Live, eventually, ok, problem

from redress_local.gateway import FOLDER
from redress_local.places import SERVICES, free_ports

CADDY = shutil.which("caddy")
pytestmark = pytest.mark.skipif(CADDY is None, reason="there is no caddy on this machine (Debian has a package of that name)")


def start(folder: Path, addresses: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """The proxy with each service at this address; and its own."""
    assert CADDY is not None
    (port,) = free_ports(1)
    text = (FOLDER / "Caddyfile").read_text().replace("\n:8080 {", f"\nhttp://127.0.0.1:{port} {{\n\tbind 127.0.0.1")
    for name, address in addresses.items():
        assert f"reverse_proxy {name}:8080 " in text
        text = text.replace(f"reverse_proxy {name}:8080 ", f"reverse_proxy {address.removeprefix('http://')} ")
    (folder / "Caddyfile").write_text(text.replace("root * /srv", f"root * {FOLDER}"))
    environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": os.environ["PATH"]}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([CADDY, "run", "--config", str(folder / "Caddyfile")], env=environment, stdout=log, stderr=log)
    return process, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def gateway(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    process, address = start(tmp_path_factory.mktemp("caddy"), dict(live.stack.urls))
    try:
        with httpx.Client(base_url=address, timeout=30) as client:
            end = time.monotonic() + 60
            while time.monotonic() < end and process.poll() is None:
                try:
                    client.get("/health/live")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def test_a_complaint_goes_its_way_at_one_address_and_links_lead_there(live: Live, gateway: httpx.Client):
    tokens = live.stack.token_issuer()
    front_end = {"authorization": f"Bearer {tokens.mint('front-end', 'web-shop')}", "idempotency-key": "at-one-address"}
    created = gateway.post("/intake/complaints", json={"channel": "web", "text": SLOW}, headers=front_end)
    new = ok(created, 201)
    assert created.headers["location"] == new["status"] == f"/intake/complaints/{new['id']}"
    assert ok(gateway.get(new["status"], headers=front_end))["number"] == new["number"]
    handler = {"authorization": f"Bearer {tokens.mint('handler', 'alice', department='technical_support')}", "idempotency-key": "accepts"}
    case = f"/handling/cases/{new['id']}"
    eventually(lambda: gateway.get(case, headers=handler).status_code == 200, "its case is opened")
    ok(gateway.post(f"{case}/accept", headers=handler))
    direct = live.front_end.get("intake", f"/complaints/{new['id']}")
    assert problem(direct, 404, "not-found")  # another client's: the gateway passed on who asks


@pytest.mark.parametrize(
    "path", ["/intake/metrics", "/intake/ops/parked", "/intake/health/ready", "/complaints", "/intake", "/nobody/complaints"]
)
def test_what_is_not_for_callers_is_not_there(gateway: httpx.Client, path: str):
    answer = gateway.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["code"]) == (404, "application/problem+json", "not-found")


def test_one_document_describes_every_service_at_that_address(gateway: httpx.Client):
    document = ok(gateway.get("/openapi.json"))
    assert {path.split("/")[1] for path in document["paths"]} == set(SERVICES)
    assert document == json.loads((FOLDER / "openapi.json").read_text())


def test_a_service_that_is_away_is_a_problem_that_says_when_to_come_back(tmp_path: Path):
    process, address = start(tmp_path, dict.fromkeys(SERVICES, "http://127.0.0.1:9"))
    try:
        with httpx.Client(base_url=address, timeout=30) as client:

            def answer() -> httpx.Response | None:
                try:
                    return client.get("/triage/taxonomy")
                except httpx.TransportError:
                    return None

            said = eventually(answer, "the proxy answers")
            assert (said.status_code, said.headers["retry-after"], said.json()["code"]) == (503, "5", "unavailable")
    finally:
        process.terminate()
        process.wait(30)
