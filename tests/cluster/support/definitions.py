"""The kinds of the operators that the chart counts on: their own definitions where a Go module brings them; of Strimzi what the chart's
checks know of it, for it is written in Java."""

from __future__ import annotations

from typing import Any

import yaml
from control_plane import ControlPlane

from redress_chart.validity import custom

WRITTEN_HERE = ("kafka.strimzi.io/v1 KafkaTopic", "kafka.strimzi.io/v1 KafkaUser")


def define(plane: ControlPlane) -> None:
    """Returns when all of them can be made."""
    found = [yaml.safe_load(path.read_text("utf-8")) for path in sorted((plane.programs / "definitions").glob("*.yaml"))]
    found += [_definition(each, custom()[each]) for each in WRITTEN_HERE]
    names = [each["metadata"]["name"] for each in found]
    done = plane.kubectl("create", "-f", "-", told={"apiVersion": "v1", "kind": "List", "items": found})
    assert done.returncode == 0, done.stderr
    waited = plane.kubectl("wait", "--for=condition=Established", "--timeout=300s", *(f"crd/{name}" for name in names))
    assert waited.returncode == 0, waited.stderr


def _definition(of: str, spec: dict[str, Any]) -> dict[str, Any]:
    api_version, kind = of.split()
    group, version = api_version.split("/")
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": _structural(spec)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _structural(schema: Any) -> Any:
    """A JSON Schema in the words that definitions may use: what is not in `properties` is unknown there anyway."""
    if isinstance(schema, list):
        return [_structural(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "const":
            made |= {"enum": [value], "type": "string"}
        elif word == "enum":
            made |= {"enum": value, "type": "string"}
        elif word == "properties":
            made["properties"] = {name: _structural(each) for name, each in value.items()}
        elif word != "uniqueItems" and not (word == "additionalProperties" and value is False):
            made[word] = _structural(value)
    return made
