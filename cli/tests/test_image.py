"""The command line in the images: it needs nothing of the local stack, and works on the service that the container's environment tells."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from redress_local.issuer import Issuer
from redress_local.places import ROOT, SERVICES
from redress_local.provision import Databases

STAGE = re.compile(r"^FROM (\S+) AS (\w+)\n", re.MULTILINE)
COPY = re.compile(r"^COPY (?!--from)(.+) (\S+)$", re.MULTILINE)
SEARCH = re.compile(r"PYTHONPATH=(\S+)")
PINNED = re.compile(r"^([a-z0-9._-]+)==", re.MULTILINE)
# -S: else Python finds what is installed for this repository.
PROGRAM = "import sys; sys.path.append({packages!r}); from redress_cli.main import main; main()"


class Image:
    """One service's; the tools' where none is named. folder: what is /app in it."""

    def __init__(self, folder: Path, service: str | None) -> None:
        self.folder = folder
        self.service = service
        stages = STAGE.split((ROOT / "Dockerfile").read_text())[1:]
        self._bodies = {name: (base, body) for base, name, body in zip(stages[0::3], stages[1::3], stages[2::3], strict=True)}
        self._install()
        stage = "service" if service else "tools"
        self._search = ""
        while stage in self._bodies:
            base, body = self._bodies[stage]
            for search in SEARCH.findall(body):
                self._search = self._search or search.replace("$SERVICE", service or "")
            for sources, target in COPY.findall(body):
                self._copy(sources.replace("$SERVICE", service or "").split(), target.replace("$SERVICE", service or ""))
            stage = base

    def _install(self) -> None:
        """What requirements/runtime.txt names, and nothing of what this machine has beside it."""
        self._packages = self.folder / "packages"
        self._packages.mkdir()
        for name in PINNED.findall((ROOT / "requirements/runtime.txt").read_text()):
            try:
                files = metadata.files(name) or ()
            except metadata.PackageNotFoundError:  # for another platform
                continue
            for file in {file.parts[0]: file for file in files if file.parts[0] != ".."}.values():
                place = self._packages / file.parts[0]
                if not place.is_symlink():
                    place.symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0])

    def _copy(self, sources: list[str], target: str) -> None:
        if not target.startswith("/app"):
            return
        place = self.folder / target.removeprefix("/app").lstrip("/")
        for source in sources:
            if (ROOT / source).is_dir():
                hidden = shutil.ignore_patterns("tests", "__pycache__", ".*", "template")
                shutil.copytree(ROOT / source, place, ignore=hidden, dirs_exist_ok=True)
            else:
                into = place / Path(source).name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, into)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`redress` in the container, told by this environment alone."""
        inside = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.folder / "nowhere"),
            "REDRESS_HOME": str(self.folder),
            "PYTHONPATH": self._search.replace("/app", str(self.folder)),
            **({"SERVICE": self.service} if self.service else {}),
        }
        program = PROGRAM.format(packages=str(self._packages))
        line = [sys.executable, "-S", "-c", program, *words]
        return subprocess.run(line, capture_output=True, text=True, env=inside | environment, timeout=240, check=False, cwd=self.folder)


def lines_of(stderr: str) -> list[Mapping[str, str]]:
    """The JSON lines that say who did what."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


LOCAL_ALONE = ("up", "down", "run", "attach", "clock", "submit", "demo")
EVERYWHERE = (
    "status",
    "tail",
    "timeline",
    "pending",
    "verify",
    "parked",
    "redrive",
    "relay",
    "rebuild",
    "context",
    "audit",
    "token",
    "version",
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(tmp_path_factory.mktemp("app"), "callback")


def test_it_lists_what_works_there_and_nothing_else(image: Image):
    done = image.run("--help", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ") and len(line.split()) > 2}
    assert listed >= set(EVERYWHERE) and not listed & set(LOCAL_ALONE)


def test_an_image_has_one_services_code_and_says_where_that_of_others_is(image: Image):
    assert [path.name for path in (image.folder / "services").iterdir()] == ["callback"]
    assert not (image.folder / "deploy/local/redress_local/system.py").exists()
    done = image.run("verify", "triage", REDRESS_DATABASE_URL="postgresql://a@127.0.0.1:9/a", REDRESS_KAFKA="127.0.0.1:9")
    assert done.returncode == 1
    assert "The environment of callback does not name triage. It names: callback." in done.stderr


def test_the_tools_have_the_code_of_all_and_say_what_to_do_without_a_context(tmp_path: Path):
    tools = Image(tmp_path, None)
    assert {path.name for path in (tools.folder / "services").iterdir()} == set(SERVICES)
    done = tools.run("status")
    assert done.returncode == 1
    assert "no context is chosen" in done.stderr and "redress context add NAME --help" in done.stderr
    assert tools.run("status", "--folder", "/tmp/none").returncode == 1


def test_a_service_is_verified_and_made_anew_from_its_own_container(image: Image, callback: Databases, kafka_address: str, tmp_path: Path):
    """As `docker compose exec callback redress verify`, and as a Kubernetes Job that has the owner's address too."""
    told = {
        "REDRESS_DATABASE_URL": callback.app_dsn.replace(":app-1@", "@"),
        "REDRESS_DATABASE_PASSWORD_FILE": str(tmp_path / "app"),
        "REDRESS_KAFKA": kafka_address,
        "REDRESS_MASTER_KEY_FILE": str(Issuer(tmp_path / "keys").master_key),
        "REDRESS_MAC_KEYS_DIR": str(Issuer(tmp_path / "keys").mac_keys),
    }
    (tmp_path / "app").write_text("app-1\n")
    verified = image.run("verify", **told)
    assert verified.returncode == 0, verified.stderr
    assert "callback" in verified.stdout and "equal" in verified.stdout
    shown = image.run("relay", "--json", **told)
    assert shown.returncode == 0 and '"waiting": 0' in shown.stdout, shown.stderr

    lacks = image.run("rebuild", "callback", "--yes", **told)
    assert lacks.returncode == 1 and "Set REDRESS_OWNER_URL, or name a context." in lacks.stderr
    (tmp_path / "owner").write_text("owner-1")
    told |= {
        "REDRESS_OWNER_URL": callback.owner_dsn.replace(":owner-1@", "@"),
        "REDRESS_OWNER_PASSWORD_FILE": str(tmp_path / "owner"),
        "REDRESS_OPERATOR": "ticket 4711",
    }
    unasked = image.run("rebuild", "callback", **told)
    assert unasked.returncode == 1
    assert "This would rebuild the state of callback and swap it in (the environment of callback)" in unasked.stderr
    assert "add --yes to confirm." in unasked.stderr and not lines_of(unasked.stderr)
    rebuilt = image.run("rebuild", "callback", "--yes", **told)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "callback: 0 states" in rebuilt.stdout
    began, ended = lines_of(rebuilt.stderr)
    account = {"who": "ticket 4711", "command": "rebuild", "service": "callback", "installation": "the environment of callback"}
    assert began.items() >= (account | {"event": "operator-began"}).items()
    assert ended.items() >= (account | {"event": "operator-ended", "outcome": "done"}).items()


def test_what_fails_is_told_as_failed(image: Image, tmp_path: Path):
    told = {
        "REDRESS_DATABASE_URL": "postgresql://a:b@127.0.0.1:9/a",
        "REDRESS_OWNER_URL": "postgresql://a:b@127.0.0.1:9/a",
        "REDRESS_MAC_KEYS_DIR": str(Issuer(tmp_path).mac_keys),
        "REDRESS_KAFKA": "127.0.0.1:9",
    }
    done = image.run("rebuild", "callback", "--yes", **told)
    assert done.returncode == 1
    assert "callback was not rebuilt, and its state is as it was: Connect" in done.stderr
    assert [each.get("outcome") for each in lines_of(done.stderr)] == [None, "failed"]
