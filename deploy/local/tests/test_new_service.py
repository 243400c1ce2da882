"""`make service NAME=…`, as docs/add-a-service.md says: what it makes starts, folds, and passes its tests and `make lint`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from redress_local.derived import drift
from redress_local.manifest import FILE, read_services
from redress_local.new_service import TEMPLATE, NotMade, make, renamed
from redress_local.places import KAFKA_LIBS, ROOT, SERVICES

COMMANDS = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS = 560
NAME = "late-alarm"  # a service of this name is nowhere else


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository as it is committed, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    root = tmp_path / "redress"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_service_is_listed_last_with_the_next_free_port(copy: Path):
    made = make(copy, NAME)
    listed = read_services(copy)
    assert [each.name for each in listed] == [*SERVICES, NAME]
    assert (made, made.port) == (listed[-1], 1 + max(each.port for each in listed[:-1]))
    assert (made.package, made.database, made.contract.rpartition(".")[2]) == ("redress_late_alarm", "redress_late_alarm", "late_alarm")
    assert drift(copy) == []
    left = [name for name in files(copy / "services" / NAME) if re.search("template", name)]
    assert not left and not re.search(b"template", b"".join(files(copy / "services" / NAME).values()), re.IGNORECASE)


@pytest.mark.parametrize(
    "name",
    ["", "Notifier", "a b", 'a"b', "../notifier", "notifier-2", "kafka", "class", "template", "local", "cli", SERVICES[0], "n" * 41],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(copy: Path, name: str):
    before = files(copy)
    with pytest.raises(NotMade):
        make(copy, name)
    assert files(copy) == before


def test_events_that_are_there_already_are_not_overwritten(copy: Path):
    make(copy, NAME)
    shutil.rmtree(copy / "services" / NAME)
    (copy / FILE).write_text((ROOT / FILE).read_text())
    with pytest.raises(NotMade, match=r"There is something of this name: libs/.*/late_alarm\.py"):
        make(copy, NAME)


def test_the_template_is_known_by_its_name_alone():
    """So that renaming leaves nothing of it, whichever way it is written."""
    written = b" ".join(files(ROOT / TEMPLATE).values()).decode()
    assert set(re.findall(r"\w*[Tt]emplate\w*|TEMPLATE\w*", written)) <= {"template", "Template", "TEMPLATE", "redress_template"}
    assert renamed("redress_template contracts.template TEMPLATE Template template", "a-b") == "redress_a_b contracts.a_b A_B A-b a-b"


def environment_of(copy: Path) -> None:
    """A virtual environment in the copy, which finds all that is installed here but our own packages, so that `make setup` installs the
    copy's and fetches nothing."""
    here = Path(sys.executable).parent
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy / ".venv"], check=True)
    there = copy / ".venv" / "bin"
    (Path(sysconfig.get_path("purelib", vars={"base": str(copy / ".venv")})) / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for program in here.iterdir():
        if (there / program.name).exists() or program.name.startswith(("python", "activate", "pip")):
            continue
        content = program.read_bytes()
        if content.startswith(b"#!" + os.fsencode(here)):  # a script of Python
            (there / program.name).write_bytes(b"#!%b\n" % os.fsencode(there / "python") + content.partition(b"\n")[2])
            (there / program.name).chmod(0o755)
        else:
            (there / program.name).symlink_to(program)
    (there.parent / ".stamps").mkdir()
    for stamp in ("venv", "requirements", "kafka"):
        (there.parent / ".stamps" / stamp).touch()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_is_followed_literally(copy: Path):
    environment_of(copy)
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")  # so that `make lint` need not begin at the start
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON", "MAKE", "COV_"))}
    environment |= {"REDRESS_KAFKA_LIBS": str(KAFKA_LIBS), "PATH": f"{copy}/.venv/bin:{os.environ['PATH']}"}
    blocks = COMMANDS.findall((copy / "docs" / "add-a-service.md").read_text("utf-8"))
    assert "make service NAME=notifier\n" in blocks[0]
    for block in (each.replace("notifier", NAME) for each in blocks):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert [each.name for each in read_services(copy)] == [*SERVICES, NAME]
