"""Clients that nobody here wrote: generated from the running services' OpenAPI documents in Python and TypeScript, they take a complaint
from its registration to its end. `make clients` installs the generators and runs this alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live import SLOW, SOON, Live, ok

from redress_local.places import ROOT

JOURNEYS = Path(__file__).parent / "clients"
PYTHON = ROOT / ".local" / "clients" / "bin"
NODE_MODULES = ROOT / ".local" / "npm" / "node_modules"
CALLED = ("intake", "handling", "callback")
LONGEST = 300  # seconds, of one command


@pytest.fixture
def folder(live: Live, tmp_path: Path) -> Path:
    """With the documents of the running services."""
    for service in CALLED:
        (tmp_path / f"{service}.json").write_bytes(live.page(service, "/openapi.json").content)
    return tmp_path


def run(folder: Path, *command: str | Path, **environment: str) -> str:
    """What it prints."""
    variables = {**os.environ, "NO_PROXY": "127.0.0.1,localhost", **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def journey(live: Live) -> str:
    """Addresses, tokens and what else both journeys need."""
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
    if not (PYTHON / "openapi-python-client").exists():
        pytest.skip("openapi-python-client is not here: `make clients` installs it")
    (folder / "config.yml").write_text("post_hooks: []\n", "utf-8")
    for service in CALLED:
        made = ("--meta", "none", "--config", "config.yml", "--fail-on-warning", "--output-path", f"{service}_client")
        run(folder, PYTHON / "openapi-python-client", "generate", "--path", f"{service}.json", *made)
    shutil.copy(JOURNEYS / "journey.py", folder)
    seen(live, run(folder, PYTHON / "python", "journey.py", JOURNEY=journey(live)))


def test_a_client_in_typescript_takes_a_complaint_to_its_end(live: Live, folder: Path):
    if not (NODE_MODULES / ".bin" / "openapi-typescript").exists():
        pytest.skip("openapi-typescript is not here: `make clients` installs it, and needs npm")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "package.json").write_text('{"type": "module"}\n', "utf-8")
    for service in CALLED:  # what has a default need not be sent
        made = (f"{service}.json", "--default-non-nullable", "false", "--output", f"{service}.ts")
        run(folder, NODE_MODULES / ".bin" / "openapi-typescript", *made)
    shutil.copy(JOURNEYS / "journey.ts", folder)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    run(folder, NODE_MODULES / ".bin" / "tsc", *options, "journey.ts")
    seen(live, run(folder, "node", "journey.js", JOURNEY=journey(live)))


def test_the_receiver_in_typescript_is_told_what_becomes_of_its_complaint(live: Live, tmp_path: Path):
    """docs/webhooks.md, as it stands there. The receiver in Python is run with the page."""
    if not (NODE_MODULES / "@types" / "node").exists():
        pytest.skip("@types/node is not here: `make clients` installs it, and needs npm")
    (program,) = re.findall(r"```typescript\n(.*?)```", (ROOT / "docs/webhooks.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "receiver.ts").write_text(program, "utf-8")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}\n', "utf-8")
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node")
    run(tmp_path, NODE_MODULES / ".bin" / "tsc", *options, "receiver.ts")
    token = live.system.issuer.mint("front-end", "typescript-receiver")
    assert run(tmp_path, "node", "receiver.js", INTAKE=live.system.urls["intake"], TOKEN=token) == "complaint.stage-reached routed\n"
