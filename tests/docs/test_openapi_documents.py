"""What each service's OpenAPI document says: everything described and named for code, with examples that hold; what errors say to write."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from redress_chassis import Service
from redress_chassis.api.validation import SENTENCES, flaws
from redress_chassis.edge.middleware import ALLOWED_HEADERS
from redress_chassis.operations import parked
from redress_events.meanings import FIELDS
from redress_local.places import SERVICES, package

PATTERN = re.compile(r"\^|\\[a-z]|\[[^\]]*[0-9a-zA-Z]-[0-9a-zA-Z][^\]]*\]|pattern|regex|[Ii]nput should|[Ss]tring should|urn:uuid")
WRONG: tuple[Any, ...] = (
    None,
    "",
    " ",
    "?!\n",
    "x" * 30_000,
    "2026-03-02",
    "0000-0000-000",
    -1,
    2**62,
    1.5,
    True,
    [],
    ["", 1],
    ["!"] * 60,
    {},
    {"a": 1},
)
SAID_BY_PYDANTIC = {
    "value_error",
    "string_pattern_mismatch",
    "out_of_range",
    "recursion_loop",
    "control_character",
}  # in our own words already


def service_of(name: str) -> Service:
    service: Service = importlib.import_module(f"{package(name)}.main").service
    return service


def document_of(name: str) -> dict[str, Any]:
    document: dict[str, Any] = service_of(name).app().openapi()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("paths", "webhooks"):
        for path, methods in document.get(part, {}).items():
            for method, operation in methods.items():
                yield f"{method.upper()} {path}", operation


@pytest.mark.parametrize("name", SERVICES)
def test_pages_of_other_origins_may_send_every_header_that_is_documented(name: str):
    of_browsers = {"accept-language"}  # they may always send it
    named = {
        parameter["name"].lower()
        for _, operation in operations(document_of(name))
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header" and not parameter["name"].lower().startswith("webhook-")
    }
    assert named <= {*ALLOWED_HEADERS, *of_browsers}


def undescribed(document: dict[str, Any]) -> Iterator[str]:
    """Everything that a reader of the document would have to guess."""
    if not document["info"].get("summary"):
        yield "the service: give its Meanings a summary"
    yield from (f"tag {tag['name']}" for tag in document["tags"] if not tag.get("description"))
    for name, operation in operations(document):
        if len(operation.get("description", "").partition("For the roles:")[0].strip()) < 10:
            yield name
        yield from (f"{name}, parameter {each['name']}" for each in operation.get("parameters", ()) if not each.get("description"))
        for status, answer in operation["responses"].items():
            if answer["description"] in ("", "Successful Response"):
                yield f"{name}, {status}"
            yield from (f"{name}, {status}, header {each}" for each, of in answer.get("headers", {}).items() if not of.get("description"))
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            yield name
        yield from (f"{name}.{field}" for field, of in schema.get("properties", {}).items() if not of.get("description"))


def written_out(node: Any, whole: bool = False) -> Iterator[str]:
    """Objects without a name of their own."""
    if isinstance(node, dict):
        if not whole and isinstance(node.get("properties"), dict) and node.get("type") == "object":
            yield str(node.get("title"))
        for value in node.values():
            yield from written_out(value)
    elif isinstance(node, list):
        for value in node:
            yield from written_out(value)


@pytest.mark.parametrize("name", SERVICES)
def test_everything_is_described(name: str):
    found = sorted(undescribed(document_of(name)))
    assert not found, f"Say what these mean, in the {package(name)}/meanings.py or in a docstring: {', '.join(found)}"


@pytest.mark.parametrize("name", SERVICES)
def test_no_meaning_is_left_of_what_is_gone(name: str):
    service, schemas = service_of(name), document_of(name)["components"]["schemas"]
    for key in service.meanings.fields.keys() - FIELDS.keys():
        schema, dot, field = key.partition(".")
        assert not dot or field in schemas[schema]["properties"], key
    assert service.meanings.names.keys() & schemas.keys() <= set(service.meanings.names.values())


@pytest.mark.parametrize("name", SERVICES)
def test_names_make_good_code(name: str):
    document = document_of(name)
    identifiers = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", each) for each in identifiers)
    assert not [schema for schema in document["components"]["schemas"] if schema.endswith(("View", "Body"))]
    unnamed = [*written_out(document["paths"])]
    unnamed += [each for schema in document["components"]["schemas"].values() for value in schema.values() for each in written_out(value)]
    assert not unnamed


def test_one_operation_id_is_of_one_service_alone():
    """Clients of several services may be made of one document."""
    common = {operation["operationId"] for name, operation in operations(document_of("intake")) if " /ops/" in name}
    found = [each["operationId"] for name in SERVICES for _, each in operations(document_of(name)) if each["operationId"] not in common]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", SERVICES)
def test_each_operation_names_the_roles_of_the_table(name: str):
    service = service_of(name)
    found = {
        operation: [role for each in said["security"] for role in each["token"]]
        for operation, said in operations(document_of(name))
        if said["security"]
    }
    assert found == {operation: sorted(roles) for operation, roles in service.permissions.operations.items()}


def routes(name: str) -> list[APIRoute]:
    own = service_of(name)
    return [route for router in (*own.routes, parked.router) for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("name", SERVICES)
def test_every_body_has_an_example_that_is_accepted(name: str):
    document = document_of(name)
    for route in routes(name):
        if route.body_field is not None:
            method = min(route.methods or ())
            body = document["paths"][route.path_format][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
            called = body["$ref"].rpartition("/")[2]
            examples = document["components"]["schemas"][called].get("examples")
            assert examples, f"Give an example of {called}, in {package(name)}/meanings.py"
            adapter(route.body_field.field_info.annotation).validate_python(examples[0])


def adapter(annotation: Any, metadata: Any = ()) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[(annotation, *metadata)] if metadata else annotation)


def mistakes(checks: TypeAdapter[Any], where: str, value: Any) -> Iterator[tuple[str, str]]:
    """The types and details of what is wrong with this value."""
    try:
        checks.validate_python(value)
    except ValidationError as error:
        found = [{**each, "loc": (where, *each["loc"])} for each in error.errors()]
        yield from zip((each["type"] for each in found), (flaw.detail for flaw in flaws(found, value)), strict=False)
    except OverflowError:  # the edge has words for it
        return


@pytest.mark.parametrize("name", SERVICES)
def test_every_error_says_what_to_write(name: str):
    met: set[str] = set()
    for route in routes(name):
        parameters = [each.field_info for each in (*route.dependant.path_params, *route.dependant.query_params)]
        adapters = [(adapter(info.annotation, info.metadata), "query", list(WRONG)) for info in parameters]
        if route.body_field is not None:
            annotation: Any = route.body_field.field_info.annotation
            model = next(each for each in (annotation, *getattr(annotation, "__args__", ())) if hasattr(each, "model_fields"))
            bodies = [*WRONG, *({field: value} for field in (*model.model_fields, "colour") for value in WRONG)]
            adapters.append((adapter(annotation), "body", bodies))
        for checks, where, values in adapters:
            for value in values:
                for kind, detail in mistakes(checks, where, value):
                    met.add(kind)
                    assert kind in SENTENCES or kind in SAID_BY_PYDANTIC, (
                        f"{route.path}: say in SENTENCES what to write instead of {kind}: {detail}"
                    )
                    assert not PATTERN.search(detail), f"{route.path}: {kind}: {detail}"
                    assert detail[0].isupper() and detail.endswith("."), f"{route.path}: {kind}: {detail}"
    assert {"missing", "extra_forbidden", "string_type", "string_too_long", "string_pattern_mismatch"} <= met
