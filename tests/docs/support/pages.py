"""The pages of the documentation: their snippets, their links, and the paths and tables that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^(?P<mark>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>[^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
PLACE = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
TOP = frozenset(path.name for path in ROOT.iterdir()) - {".venv", ".local", ".git"}


@dataclass(frozen=True)
class Snippet:
    """A block that is run, by which language, and what its output has to contain, line by line; `…` stands for anything."""

    language: str
    body: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def prose(self) -> str:
        """Without the fenced blocks."""
        return FENCE.sub("", self.text)

    @cached_property
    def snippets(self) -> list[Snippet]:
        """```bash run and ```python run, each with the ```text shown that follows it, if there is one."""
        found: list[Snippet] = []
        for block in FENCE.finditer(self.text):
            match block["info"].split():
                case ["bash" | "python" as language, "run"]:
                    found.append(Snippet(language, block["body"], ()))
                case ["text", "shown"]:
                    lines = tuple(line.strip() for line in block["body"].splitlines() if line.strip())
                    found[-1] = Snippet(found[-1].language, found[-1].body, found[-1].shown + lines)
        return found

    def links(self) -> Iterator[tuple[str, str]]:
        """Text and target of every relative link."""
        for link in LINK.finditer(self.prose):
            if not re.match(r"[a-z]+:", link["target"]):
                yield link["text"], link["target"]

    def places(self) -> Iterator[str]:
        """Code spans that name a file or folder of the repository."""
        for span in SPAN.findall(self.prose):
            if PLACE.fullmatch(span) and "/" in span and span.split("/")[0] in TOP:
                yield span

    def anchors(self) -> set[str]:
        return {anchor(heading) for heading in HEADING.findall(self.prose)}

    def table(self, *columns: str) -> list[dict[str, str]]:
        """The rows of all tables that have these columns, code marks taken away."""
        rows: list[dict[str, str]] = []
        header: list[str] | None = None
        for line in self.prose.splitlines():
            if not line.startswith("|"):
                header = None
                continue
            cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
            if header is None:
                header = cells
            elif set(columns) <= set(header) and not set("".join(cells)) <= set("-: "):
                rows.append(dict(zip(header, cells, strict=True)))
        return rows


def anchor(heading: str) -> str:
    """As a git host makes it of a heading."""
    plain = re.sub(r"[`*_]|\[|\]\([^)]*\)", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def pages() -> list[Page]:
    beside = ("README.md", "libs/spine/README.md", "schemas/README.md", "deploy/helm/redress/README.md")
    found = [*(ROOT / name for name in beside), *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page(path) for path in found if path.exists()]


def script(page: Page) -> str:
    """One bash program of all snippets of a page, so that a later one has the variables of an earlier one. Their outputs are kept apart."""
    parts = ["set -euo pipefail"]
    for number, snippet in enumerate(page.snippets):
        body = snippet.body if snippet.language == "bash" else f"python - <<'END_OF_SNIPPET'\n{snippet.body}END_OF_SNIPPET\n"
        parts += [f"echo '{mark(number)}'", body.rstrip("\n")]
    return "\n".join([*parts, f"echo '{mark(len(page.snippets))}'"])


def mark(number: int) -> str:
    return f"=== snippet {number} ==="


def unshown(snippet: Snippet, output: str) -> list[str]:
    """The lines that a page shows and the output does not have, in the page's order."""
    missing, rest = [], output
    for line in snippet.shown:
        wanted = ".*".join(r"\s+".join(map(re.escape, part.split())) for part in line.split("…"))
        if found := re.search(wanted, rest):
            rest = rest[found.end() :]
        else:
            missing.append(line)
    return missing
