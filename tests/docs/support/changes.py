"""Pages whose steps are literal: the edits, the new files and the commands of a change, in the order of the page.

A block ` ```diff PATH ` edits a file: the lines without `+` stand in it once, one after the other; `@@` parts two places. A block
` ```LANGUAGE new PATH ` is a new file. A block ` ```bash then ` is run, and has to succeed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from pages import FENCE, SPAN, Page

STEP_SECONDS = 900


class NotFollowed(Exception):
    """A step of a page cannot be done, or does not end as the page promises."""


def is_literal(page: Page) -> bool:
    return any(block["info"].split()[1:2] == ["then"] for block in FENCE.finditer(page.text))


def follow(page: Page, root: Path, environment: Mapping[str, str], to_the_end: bool) -> None:
    """Do all steps in this copy of the repository; to the end: those too that check what was made. Raises NotFollowed."""
    for block in FENCE.finditer(page.text):
        match block["info"].split():
            case ["diff", path]:
                edit(root / path, block["body"])
            case [_, "new", path]:
                if (root / path).exists():
                    raise NotFollowed(f"{path} is there already.")
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(block["body"], "utf-8")
            case ["bash", "then"]:
                lines = block["body"].splitlines()
                run("\n".join(line for line in lines if to_the_end or not checks(line)), root, environment)


def edit(path: Path, diff: str) -> None:
    """Raises NotFollowed where the old lines of a place do not stand in the file, or do so twice."""
    text = path.read_text("utf-8")
    for place in diff.split("@@\n"):
        lines = [line or " " for line in place.splitlines()]
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        found = list(re.finditer(f"^(?={re.escape(old)})", text, re.MULTILINE)) if old else []
        if len(found) != 1:
            raise NotFollowed(f"{path} has {len(found)} places to be edited:\n{place}")
        text = text[: found[0].start()] + new + text[found[0].start() + len(old) :]
    path.write_text(text, "utf-8")


def checks(line: str) -> bool:
    return line == "make lint" or " -m pytest " in line


def run(commands: str, root: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=root,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NotFollowed(f"{commands}\n{done.stdout[-6000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def touched(page: Page) -> list[str]:
    """What the page's line `You touch:` names: files, folders (`schemas/`) and patterns."""
    (paragraph,) = [each for each in page.text.split("\n\n") if each.startswith("You touch:")]
    return SPAN.findall(paragraph)


def is_named(path: str, names: list[str]) -> bool:
    return any(path == name or fnmatch(path, name) or (name.endswith("/") and path.startswith(name)) for name in names)
