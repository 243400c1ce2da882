"""`python -m redress_chart` (`make chart`) writes what is derived of the Helm chart; `--check` (`make lint`) writes nothing, compares it,
and asks of each example: does Helm take it, would an API server, would an auditor?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

from redress_chart import facts, policies, readme, rendering, validity
from redress_chart.rendering import CHART, EXAMPLES, HELM
from redress_local.places import ROOT, SERVICES

MONITORING = ROOT / "deploy" / "monitoring"


def derived() -> Iterator[tuple[Path, str | None]]:
    """Files that follow from others, and their text; None: there is to be none. Those that a render reads come first."""
    yield CHART / "files" / "services.yaml", facts.written()
    yield CHART / "values.schema.json", _schema()
    values = (CHART / "values.yaml").read_text("utf-8")
    yield CHART / "README.md", readme.written(values, {name: _said(path) for name, path in EXAMPLES.items()}, list(SERVICES))
    yield from _monitoring()


def golden() -> Iterator[tuple[Path, str | None]]:
    """What is rendered from each example. Raises NotRendered."""
    for name in EXAMPLES:
        yield HELM / "golden" / f"{name}.yaml", rendering.rendered(rendering.example(name))
    yield from ((path, None) for path in (HELM / "golden").glob("*.yaml") if path.stem not in EXAMPLES)


def _monitoring() -> Iterator[tuple[Path, str | None]]:
    """The chart can read its own folder alone, so alert rules and dashboards are copied to it, as far as there are any."""
    sources = {CHART / "files" / "alerts.yml": MONITORING / "alerts.yml"}
    sources |= {CHART / "files" / "dashboards" / path.name: path for path in sorted((MONITORING / "dashboards").glob("*.json"))}
    for copied in [CHART / "files" / "alerts.yml", *(CHART / "files" / "dashboards").glob("*.json")]:
        sources.setdefault(copied, MONITORING / "dashboards" / copied.name)
    for copied, source in sources.items():
        yield copied, source.read_text("utf-8") if source.is_file() else None


def _schema() -> str:
    """values.schema.json with the names of the services, and of the images, that there are."""
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    schema["properties"]["services"]["propertyNames"] = {"enum": list(SERVICES)}
    schema["properties"]["operator"]["properties"]["service"] = {"enum": ["", *SERVICES]}
    schema["properties"]["image"]["properties"]["digests"]["propertyNames"] = {"enum": [*SERVICES, "setup"]}
    return json.dumps(schema, indent=2) + "\n"


def _said(path: Path) -> str:
    """The comment at the head of an example, in one line."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return " ".join(lines)


def write(files: Iterator[tuple[Path, str | None]]) -> list[str]:
    """The files that changed."""
    changed = []
    for path, text in files:
        if text != (path.read_text("utf-8") if path.is_file() else None):
            changed.append(str(path.relative_to(ROOT)))
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
    return changed


def drift(files: Iterator[tuple[Path, str | None]]) -> Iterator[str]:
    """Unified diffs of the files that say otherwise."""
    for path, text in files:
        there, wanted = path.read_text("utf-8") if path.is_file() else "", text or ""
        if there != wanted:
            name = str(path.relative_to(ROOT))
            lines = there.splitlines(keepends=True), wanted.splitlines(keepends=True)
            yield "".join(unified_diff(*lines, name, f"{name} (as it must be)"))


def findings() -> Iterator[str]:
    """What is wrong with what is rendered from the examples."""
    for name in EXAMPLES:
        values = rendering.example(name)
        found = rendering.objects(rendering.rendered(values))
        for each in (*rendering.lint(values), *validity.flaws(found), *policies.findings(found)):
            yield f"{name}: {each}"


def main() -> int:
    """0: written, or all is right. 1: something drifted, or is wrong."""
    parser = argparse.ArgumentParser(prog="python -m redress_chart", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail with what differs or is wrong")
    try:
        if not parser.parse_args().check:
            print("\n".join([*write(derived()), *write(golden())]) or "Nothing changed.")
            return 0
        if differences := [*drift(derived()), *drift(golden())]:
            print("\n".join(differences), file=sys.stderr)
            print("The chart's files disagree. Run `make chart`, look at what changed, and commit it.", file=sys.stderr)
            return 1
        wrong = list(findings())
    except (rendering.NotRendered, readme.Unsaid, facts.NotFound) as error:
        print(error, file=sys.stderr)
        return 1
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
