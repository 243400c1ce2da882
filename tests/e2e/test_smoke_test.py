"""What `helm test` runs in a cluster, run here against the real system: a complaint goes through all services and is withdrawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from live import Live, ok

from redress_local.places import ROOT

SCRIPT = ROOT / "deploy/helm/redress/files/smoke_test.py"
WAIT = 60  # seconds that it may take; a test that hangs is ended by pytest


def run(live: Live, tmp_path: Path, role: str = "front-end", seconds: int = WAIT, **urls: str) -> subprocess.CompletedProcess[str]:
    token = tmp_path / "token"
    token.write_text(live.stack.token_issuer().mint(role, "smoke-test") + "\n")
    services = " ".join(f"{name}={url}" for name, url in (dict(live.stack.urls) | urls).items())
    environment = {"SERVICES": services, "TOKEN_FILE": str(token), "SECONDS_ALLOWED": str(seconds)}
    return subprocess.run([sys.executable, "-I", SCRIPT], env=environment, capture_output=True, text=True, check=False)


def test_an_installation_that_works_says_so(live: Live, tmp_path: Path):
    done = run(live, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("It is closed. The installation takes complaints.\n")
    (number,) = re.findall(r"^(\S+) is registered\.$", done.stdout, re.MULTILINE)
    seen = ok(live.agent.get("intake", f"/complaints/by-number/{number}"))
    assert (seen["stage"], seen["closed_as"]) == ("closed", "withdrawn")


def test_one_that_does_not_says_where_it_ends(live: Live, tmp_path: Path):
    refused = run(live, tmp_path, role="bi")
    assert refused.returncode == 1
    assert "was answered 403" in refused.stderr and "wrong-role" in refused.stderr
    away = run(live, tmp_path, seconds=1, triage="http://127.0.0.1:9")
    assert (away.returncode, away.stderr) == (1, "Not in time: triage is ready.\n")
