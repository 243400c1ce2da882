"""A service is imported without reading anything, and starts on good policies alone: each service in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redress_local.issuer import Issuer
from redress_local.places import ROOT, SERVICES, package
from redress_sla_monitor.policies import telecom_handbook

# Whatever opens a file of the repository that is no code, or asks the environment for a setting of ours, ends here. A page's template is
# code: it is compiled, and refused if it is wrong. services.toml is the command line's list of what there is,
# and names.yaml what files of complaints call things.
WATCHED = """
import importlib, os, sys
root, venv, module = sys.argv[1:]

class Watched(dict):
    def __getitem__(self, name):
        if name.startswith("REDRESS_"):
            raise SystemExit(f"{name} is asked for")
        return super().__getitem__(name)

    def get(self, name, default=None):
        return self[name] if name in self else default

    def items(self):
        if "pydantic_settings" in sys._getframe(1).f_globals["__name__"]:
            raise SystemExit("all settings are asked for")
        return super().items()

def opened(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(args[0]))
        code = path.endswith((".py", ".pyc", ".html", "/services.toml", "/importing/names.yaml")) or ".pyc." in path
        if path.startswith(root) and not path.startswith(venv) and not code:
            raise SystemExit(f"{path} is opened")

sys.addaudithook(opened)
os.environ = Watched(os.environ)
importlib.import_module(module)
print("imported")
"""

WHERE = {"REDRESS_HOME", "REDRESS_KAFKA_LIBS"}  # the command line asks for them at once: they say where the repository and Kafka are


def watched(module: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", WATCHED, f"{ROOT}{os.sep}" if path is None else f"{path}{os.sep}", sys.prefix, module]
    outer = {name: value for name, value in os.environ.items() if name not in WHERE}
    environment = outer | {"REDRESS_POLICY": "/nowhere", "REDRESS_PARTITIONS": "none", "PYTHONPATH": str(path or "")}
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("module", [*(f"{package(service)}.main" for service in SERVICES), "redress_cli.main"])
def test_importing_a_program_reads_neither_policies_nor_settings(module: str):
    done = watched(module)
    assert (done.returncode, done.stdout.strip()) == (0, "imported"), done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('{here}/limits.yaml')", "limits.yaml is opened"),
        ("import os; os.environ.get('REDRESS_POLICY')", "REDRESS_POLICY is asked for"),
        ("import os; os.getenv('REDRESS_POLICY')", "REDRESS_POLICY is asked for"),
        ("from redress_chassis import Settings; Settings()", "asked for"),
    ],
)
def test_whoever_reads_at_import_is_found(tmp_path: Path, code: str, said: str):
    (tmp_path / "limits.yaml").touch()
    (tmp_path / "reads_at_import.py").write_text(code.format(here=tmp_path))
    done = watched("reads_at_import", tmp_path)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_wrong_policy_ends_the_process_with_file_place_and_what_is_allowed(tmp_path: Path):
    policy, key = tmp_path / "mine.yaml", tmp_path / "key"
    policy.write_text(telecom_handbook().read_text("utf-8").replace("billing_dispute:", "billing:"), "utf-8")
    key.write_bytes(bytes(32))
    environment = os.environ | {
        "REDRESS_POLICY": str(policy),
        "REDRESS_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "REDRESS_KAFKA": "127.0.0.1:9",
        "REDRESS_MASTER_KEY_FILE": str(key),
        "REDRESS_MAC_KEYS_DIR": str(Issuer(tmp_path / "keys").mac_keys),
        "REDRESS_JWKS": str(tmp_path / "jwks.json"),
        "REDRESS_ISSUER": "https://issuer.example",
        "REDRESS_PROFILE": "local",
    }
    line = [sys.executable, "-m", "redress_chassis.serving", "redress_sla_monitor.main:app", "--port", "0"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode not in (0, None)
    assert f"The policy {policy} (REDRESS_POLICY): clocks.resolve.categories.billing: Input should be 'service_quality'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
