"""Programs that nobody here wrote: where `make clients` puts them, and how a test runs one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from redress_local.places import ROOT

JOURNEYS = Path(__file__).parents[1] / "clients"
PYTHON = ROOT / ".local" / "clients" / "bin"
NODE_MODULES = ROOT / ".local" / "npm" / "node_modules"
LONGEST = 300  # seconds, of one command


def run(folder: Path, *command: str | Path, **environment: str) -> str:
    """What it prints."""
    variables = {**os.environ, "NO_PROXY": "127.0.0.1,localhost", **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def of_npm(folder: Path, package: str) -> None:
    """Node and tsc find the packages from this folder. The test is skipped where this one is not here."""
    if not (NODE_MODULES / package).exists():
        pytest.skip(f"{package} is not here: `make clients` installs it, and needs npm")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "package.json").write_text('{"type": "module"}\n', "utf-8")


def of_python(package: str) -> None:
    """The test is skipped where this one is not in the clients' own environment."""
    if not any((PYTHON.parent / "lib").glob(f"python3*/site-packages/{package}")):
        pytest.skip(f"{package} is not here: `make clients` installs it")
