"""Clients that nobody here wrote: generated from the services' OpenAPI documents in Python and TypeScript, they take a complaint from its
registration to its end. `make clients` installs the generators, and runs these and other clients alone.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from live import SLOW, SOON, Live, ok
from outside import JOURNEYS, NODE_MODULES, PYTHON, of_npm, of_python, run

from redress_local.gateway import FOLDER as GATEWAY
from redress_local.places import ROOT

CALLED = ("intake", "handling", "callback")
TSC = (NODE_MODULES / ".bin" / "tsc", "--strict", "--target", "es2022", "--module", "nodenext")


@pytest.fixture
def folder(live: Live, tmp_path: Path) -> Path:
    """With the documents of the running services."""
    for service in CALLED:
        (tmp_path / f"{service}.json").write_bytes(live.page(service, "/openapi.json").content)
    return tmp_path


def journey(live: Live) -> str:
    """Addresses, tokens and what else each journey needs."""
    mint = live.system.issuer.mint
    tokens = {
        "front-end": mint("front-end", "generated-client"),
        "handler": mint("handler", "generated-handler", department="technical_support"),
        "agent": mint("agent", "generated-agent"),
    }
    addresses = {service: live.system.urls[service] for service in CALLED}
    return json.dumps({"addresses": addresses, "tokens": tokens, "text": SLOW, "within": SOON})


def seen(live: Live, number: str) -> None:
    assert ok(live.agent.get("intake", f"/complaints/by-number/{number.strip()}"))["stage"] == "closed"
    live.verified(CALLED)


def test_a_client_in_python_takes_a_complaint_to_its_end(live: Live, folder: Path):
    of_python("openapi_python_client")
    (folder / "config.yml").write_text("post_hooks: []\n", "utf-8")
    for service in CALLED:
        made = ("--meta", "none", "--config", "config.yml", "--fail-on-warning", "--output-path", f"{service}_client")
        run(folder, PYTHON / "openapi-python-client", "generate", "--path", f"{service}.json", *made)
    shutil.copy(JOURNEYS / "journey.py", folder)
    seen(live, run(folder, PYTHON / "python", "journey.py", JOURNEY=journey(live)))


def test_a_client_in_typescript_takes_a_complaint_to_its_end(live: Live, folder: Path):
    of_npm(folder, "openapi-typescript")
    for service in CALLED:  # what has a default need not be sent
        made = (f"{service}.json", "--default-non-nullable", "false", "--output", f"{service}.ts")
        run(folder, NODE_MODULES / ".bin" / "openapi-typescript", *made)
    shutil.copy(JOURNEYS / "journey.ts", folder)
    run(folder, *TSC, "--lib", "es2022,dom", "journey.ts")
    seen(live, run(folder, "node", "journey.js", JOURNEY=journey(live)))


def test_a_client_of_hey_api_takes_a_complaint_to_its_end(live: Live, tmp_path: Path):
    """One SDK of the document that the gateway serves, made with the settings of docs/api.md."""
    of_npm(tmp_path, "@hey-api/openapi-ts")
    (settings,) = re.findall(r"```javascript\n(export default .*?)```", (ROOT / "docs/api.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "openapi-ts.config.mjs").write_text(settings, "utf-8")
    shutil.copy(GATEWAY / "openapi.json", tmp_path)
    run(tmp_path, NODE_MODULES / ".bin" / "openapi-ts", "--no-log-file")
    shutil.copy(JOURNEYS / "journey-hey-api.ts", tmp_path)
    run(tmp_path, *TSC, "--lib", "es2022,dom", "journey-hey-api.ts")
    seen(live, run(tmp_path, "node", "journey-hey-api.js", JOURNEY=journey(live)))


def test_the_receiver_in_typescript_is_told_what_becomes_of_its_complaint(live: Live, tmp_path: Path):
    """docs/webhooks.md, as it stands there. The receiver in Python is run with the page."""
    of_npm(tmp_path, "@types/node")
    (program,) = re.findall(r"```typescript\n(.*?)```", (ROOT / "docs/webhooks.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "receiver.ts").write_text(program, "utf-8")
    run(tmp_path, *TSC, "--types", "node", "receiver.ts")
    token = live.system.issuer.mint("front-end", "typescript-receiver")
    assert run(tmp_path, "node", "receiver.js", INTAKE=live.system.urls["intake"], TOKEN=token) == "complaint.stage-reached routed\n"
