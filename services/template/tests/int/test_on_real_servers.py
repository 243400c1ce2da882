"""It starts on the real Kafka and the real PostgreSQL, folds what intake publishes, and shows it to those who may see it."""

from __future__ import annotations

import httpx
import pytest
from live import eventually

from redress_local.pytest_plugin import MakeSystem
from redress_local.system import System


@pytest.fixture(scope="module")
def running(system: MakeSystem) -> System:
    return system(services=["intake", "template"])


@pytest.mark.slow
def test_a_complaint_that_intake_registers_is_known_here(running: System):
    def caller(role: str, **headers: str) -> httpx.Client:
        bearer = {"authorization": f"Bearer {running.issuer.mint(role, 'ada')}"}
        return httpx.Client(timeout=10, trust_env=False, headers=bearer | headers)

    with caller("front-end", **{"idempotency-key": "one"}) as front_end, caller("supervisor") as supervisor:
        registered = front_end.post(f"{running.urls['intake']}/complaints", json={"channel": "hotline", "text": "No signal"}).json()
        address = f"{running.urls['template']}/complaints/{registered['id']}"
        eventually(lambda: supervisor.get(address).is_success, "it is known here")
        known = supervisor.get(address).json()
        assert (known["complaint"], known["number"]) == (registered["id"], registered["number"])
        assert front_end.get(address).status_code == 403
