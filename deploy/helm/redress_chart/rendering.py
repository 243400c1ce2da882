"""Renders the chart in this process, by Helm's own library: no cluster, no network, no program."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

from redress_local.places import ROOT

HELM = ROOT / "deploy" / "helm"
CHART = HELM / "redress"
EXAMPLES = {path.stem: path for path in sorted((HELM / "examples").glob("*.yaml"))}
RELEASE = NAMESPACE = "redress"
Object = dict[str, Any]


class NotRendered(Exception):
    """Helm refuses the values, or a template fails; the message is its own, or the chart's."""


class NoDuplicates(yaml.CSafeLoader):
    """A key that stands twice is a mistake of a template: the first of its values would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise NotRendered(f"{twice[0]} stands twice in one mapping{node.start_mark}")
        return super().construct_mapping(node, deep)


def example(name: str) -> dict[str, Any]:
    """The values of an example."""
    found: dict[str, Any] = yaml.safe_load(EXAMPLES[name].read_text("utf-8"))
    return found


def changed(values: Mapping[str, Any], **by_path: Any) -> dict[str, Any]:
    """A copy of values with others in it: `kafka__caSecret__name="x"`."""
    made = copy.deepcopy(dict(values))
    for path, value in by_path.items():
        *parents, last = path.split("__")
        place = made
        for each in parents:
            place = place.setdefault(each, {})
        place[last] = value
    return made


def rendered(values: Mapping[str, Any], *, chart: Path = CHART, release: str = RELEASE) -> str:
    """All objects as one text, by file and in the order of their file. Raises NotRendered."""
    try:
        with helm_python.Chart.load(chart) as loaded:
            loaded.validate_schema(dict(values))
            files = loaded.render(dict(values), name=release, namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise NotRendered(str(error)) from error
    parts = []
    for path, text in sorted(files.items()):
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        if path.endswith(".yaml") and lines:
            parts.append("\n".join([f"# {path}", *lines]))
    return "\n".join(parts) + "\n"


def objects(text: str) -> list[Object]:
    """What a rendered text holds. Raises NotRendered where a key stands twice."""
    return [each for each in yaml.load_all(text, NoDuplicates) if each]  # a safe loader


def lint(values: Mapping[str, Any]) -> list[str]:
    """What `helm lint --strict` finds."""
    report = helm_python.lint(CHART, dict(values), strict=True, namespace=NAMESPACE)
    found = [f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > 1]
    return found + [each for each in report["errors"] if each not in " ".join(found)]
