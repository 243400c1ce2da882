"""A copy of the repository in which the steps of a page can be done: with a virtual environment of its own, and with git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from redress_local.places import KAFKA_LIBS, ROOT


def copy_to(root: Path) -> Path:
    """The repository as it is committed, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root


def prepare(copy: Path) -> dict[str, str]:
    """Make a virtual environment in the copy, which finds all that is installed here but our own packages, so that `make setup` installs
    the copy's and fetches nothing. Returns the environment for commands in it."""
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
    for stamp in ("venv", "requirements", "chart", "kafka"):
        (there.parent / ".stamps" / stamp).touch()
    if (ROOT / ".mypy_cache").is_dir():  # so that `make lint` need not begin at the start
        passing = shutil.ignore_patterns("*-wal", "*-shm")  # files of a mypy that runs now
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache", ignore=passing)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON", "MAKE", "COV_"))}
    return environment | {"REDRESS_KAFKA_LIBS": str(KAFKA_LIBS), "PATH": f"{there}:{os.environ['PATH']}"}


def commit(copy: Path) -> None:
    """Make the copy a git repository whose only commit is what it holds now."""
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "The copy")


def changed(copy: Path) -> list[str]:
    """The files that are not as they were committed."""
    listed = git(copy, "ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
    return sorted(set(filter(None, listed.split("\0"))))


def reset(copy: Path) -> None:
    """As it was committed; the virtual environment and what mypy knows stay."""
    git(copy, "checkout", "--quiet", "--", ".")
    git(copy, "clean", "--quiet", "--force", "-d", "-x", "--exclude=.venv", "--exclude=.mypy_cache")


def git(copy: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=copy, capture_output=True, text=True, check=True).stdout
