"""Whether an API server would take what is rendered: Kubernetes' own schemas, strictly, and schemas of our own for custom resources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate.utils import major_minor, schema_contents
from referencing import Registry, Resource

from redress_chart.rendering import Object

VERSIONS = (
    "1.30",
    major_minor(kubernetes_validate.latest_version()),
)  # the oldest that Chart.yaml allows, and the newest whose schemas are here
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def flaws(found: list[Object]) -> Iterator[str]:
    """Why an object would be refused, each in a line that begins with kind and name. Two of one name are one as well."""
    seen = set()
    for each in found:
        what = f"{each['kind']} {_name(each['metadata'])}"
        if (each["apiVersion"], what) in seen:
            yield f"{what} is there twice"
        seen.add((each["apiVersion"], what))
        yield from (f"{what}: {flaw}" for flaw in _of_metadata(each["metadata"]))
        yield from (f"{what}: {flaw}" for flaw in _of_schema(each))


def _of_metadata(metadata: Object) -> Iterator[str]:
    if not NAME.fullmatch(_name(metadata).removesuffix("-" if "generateName" in metadata else "")):
        yield "its name is none"
    for name, value in metadata.get("labels", {}).items():
        if not isinstance(value, str) or not LABEL.fullmatch(value):
            yield f"the label {name} has the value {value!r}"
    for name, value in metadata.get("annotations", {}).items():
        if not isinstance(value, str):
            yield f"the annotation {name} is no text"


def _name(metadata: Object) -> str:
    name: str = metadata.get("name") or metadata["generateName"]
    return name


def _of_schema(each: Object) -> Iterator[str]:
    schema = custom().get(f"{each['apiVersion']} {each['kind']}")
    if schema is not None:
        if unknown := each.keys() - {"apiVersion", "kind", "metadata", "spec"}:
            yield f"{sorted(unknown)[0]} is no field of it"
        yield from (_told(error) for error in jsonschema.Draft202012Validator(schema).iter_errors(each.get("spec")))
        return
    for version in VERSIONS:
        try:
            validator = kubernetes(version, each["apiVersion"], each["kind"])
        except LookupError:
            yield f"Kubernetes {version} has no {each['apiVersion']} {each['kind']}, and custom.yaml neither"
            continue
        yield from (f"{_told(error)} (Kubernetes {version})" for error in validator.iter_errors(each))


def _told(error: jsonschema.ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message[:300]}"


@cache
def custom() -> dict[str, Any]:
    """The schemas of custom.yaml, by apiVersion and kind."""
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("custom.yaml").read_text("utf-8"))
    return found


@cache
def kubernetes(version: str, api_version: str, kind: str) -> jsonschema.Draft202012Validator:
    """The strict validator of a kind, made once: the package's own `validate` reads two megabytes for each object. Raises LookupError."""
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], number)))
    try:
        schema = _contents(version, name)
    except FileNotFoundError:
        raise LookupError(f"{api_version} {kind}") from None
    registry: Registry[Any] = Resource.from_contents(schema) @ Registry()
    return jsonschema.Draft202012Validator(schema, registry=_definitions(version) @ registry)


@cache
def _definitions(version: str) -> Resource[Any]:
    return Resource.from_contents(_contents(version, "_definitions"))


def _contents(version: str, name: str) -> Any:
    return schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/{name}.json", version)
