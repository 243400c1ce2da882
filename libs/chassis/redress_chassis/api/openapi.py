"""The OpenAPI document of a service: FastAPI's, and what the chassis adds to every operation: token, roles, keys, headers, problems, words.

What fields and parameters mean is said in the services' `meanings.py`.

Long, for all that is added to FastAPI's document is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from redress_chassis.api import etags
from redress_chassis.api.bodies import LEAST_REASON
from redress_chassis.api.idempotency import HEADER, LONGEST, REPLAYED
from redress_chassis.api.meanings import Meanings
from redress_chassis.auth.permissions import ANYTHING, Permission, Permissions
from redress_chassis.edge.audit import BREAK_GLASS
from redress_spine.processing.skips import WHY_LENGTH

ALWAYS = (400, 401, 403, 422, 429, 503)  # statuses that any operation may answer
WITH_BODY = (413, 415)
SENTENCES = {
    400: "The request is malformed: JSON, address, cursor or idempotency key.",
    401: "No token, or one that cannot be accepted.",
    403: "The caller has none of the roles that may do this.",
    404: "Not found, or not visible to this caller.",
    409: "Not allowed in the present state; `code` says why.",
    412: "It has changed since the tag in If-Match was read.",
    413: "The body is too large.",
    415: "The body is not JSON in UTF-8.",
    422: "A value is not acceptable, or the idempotency key stands for another request; `errors` points to what is wrong.",
    429: "The caller sends too many requests; repeat after Retry-After seconds.",
    503: "A system that is needed does not answer, or too many requests are in progress; repeat after Retry-After seconds.",
}
GLASS = "Why you must read what is outside your rights. It is recorded with your name. UTF-8, percent-encoded where that is not ASCII."
TEXT = {"type": "string"}
NOTES = re.compile(r"(?:^|(?<=\. ))[a-z_]+(?:, [a-z_]+)*: .*$")  # of a docstring about its fields; they are said at the fields
SCHEMA_PATH = "#/components/schemas/"
RETRY_AFTER = {"description": "How many seconds to wait before the request is repeated.", "required": True, "schema": {"type": "integer"}}
HEADERS: dict[int, dict[str, Any]] = {  # of problems
    401: {"WWW-Authenticate": {"description": "Which token to send, and what is wrong with this one.", "required": True, "schema": TEXT}},
    429: {"Retry-After": RETRY_AFTER},
    503: {"Retry-After": RETRY_AFTER},
}
ETAG = {
    "description": "A tag of the state that is shown. Send it in If-Match, and a command is refused if the state has changed.",
    "required": True,
    "schema": TEXT,
    "example": '"9f86d081884c7d65"',
}
LOCATION = {"description": "The path of what was created.", "required": True, "schema": {"type": "string", "format": "uri-reference"}}
NOT_MODIFIED = {"description": "The state is still that of your tag in If-None-Match: the answer has no body.", "headers": {"ETag": ETAG}}
DONE = {"201": "Created.", "202": "It will be done.", "204": "Done; the answer has no body."}
AGAIN = {
    "description": "`true` where this is the first answer again, for a request that was repeated with its key: nothing was done twice.",
    "schema": {"type": "string", "enum": ["true"]},
}
TOKEN = (
    "A JWT of the installation's identity provider, in the header `Authorization: Bearer …`. Its claims say who calls, in which roles, and "
    "of which department. Each operation names the roles that may carry it out: one of them is enough."
)
UUID_EXAMPLE, TIME_EXAMPLE = "01981f6e-2d3c-7f4a-8b5e-6a7d8c9e0f12", "2026-03-02T04:00:00Z"
SCHEMAS: dict[str, Any] = {
    "Problem": {
        "title": "Problem",
        "description": "An error, as RFC 9457 defines it. Programs read `code`, people `detail`; `trace` finds the log lines.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "trace"],
        "properties": {
            "type": TEXT | {"format": "uri", "description": "The code as a URN.", "examples": ["urn:redress:problem:invalid"]},
            "title": TEXT | {"description": "The code in words.", "examples": ["Invalid"]},
            "status": {"type": "integer", "description": "The status of the answer.", "examples": [422]},
            "detail": TEXT | {"description": "What is wrong and what to do, in plain words.", "examples": ["body /text: This is needed."]},
            "code": TEXT | {"description": "What is wrong, for programs: stable. docs/errors.md lists all codes.", "examples": ["invalid"]},
            "trace": TEXT
            | {
                "description": "The request's trace id: name it in a report.",
                "examples": ["4bf92f3577b34da6a3ce929d0e0e4736"],
            },
            "pointer": TEXT | {"description": "Where the first mistake is, as a JSON pointer.", "examples": ["/text"]},
            "errors": {
                "type": "array",
                "description": "Each mistake in the request, where the request has some.",
                "items": {"$ref": "#/components/schemas/Mistake"},
            },
        },
    },
    "Mistake": {
        "title": "Mistake",
        "description": "One thing that is wrong with a request. What was sent is never repeated.",
        "type": "object",
        "required": ["in", "pointer", "code", "detail"],
        "properties": {
            "in": TEXT
            | {"enum": ["body", "path", "query", "header"], "description": "The part of the request that it is in.", "examples": ["body"]},
            "pointer": TEXT | {"description": "Where in that part, as a JSON pointer (RFC 6901).", "examples": ["/text"]},
            "code": TEXT | {"description": "What is wrong, for programs.", "examples": ["missing"]},
            "detail": TEXT | {"description": "What to write instead.", "examples": ["This is needed."]},
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: the problems it may answer beside those that every route may."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        answers[status] = {"description": SENTENCES.get(status, HTTPStatus(status).phrase), "content": content}
        if status in HEADERS:
            answers[status]["headers"] = HEADERS[status]
    return answers


def document(app: FastAPI, routes: Sequence[BaseRoute], webhooks: Sequence[BaseRoute], meanings: Meanings) -> dict[str, Any]:
    """FastAPI's document of these routes, completed; made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=meanings.summary,
            description=app.description,
            routes=routes,
            webhooks=webhooks,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            servers=[{"url": "/", "description": "The address at which this document is served."}],
        )
        app.openapi_schema = _completed(schema, [*_documented(routes)], app.state.serving.permissions, meanings)
    return app.openapi_schema


def _documented(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    return (route for route in routes if isinstance(route, APIRoute) and route.include_in_schema)


def _completed(schema: dict[str, Any], routes: Sequence[APIRoute], permissions: Permissions, meanings: Meanings) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": TOKEN}}
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which nobody gets to see
        components["schemas"].pop(name, None)
    for name, path_item in schema.get("webhooks", {}).items():
        for operation in path_item.values():
            operation["responses"].pop("422", None)  # it is others who answer
            operation["operationId"], operation["security"] = _camel(name.replace(".", "_").replace("-", "_")), []
            operation["summary"] = operation["summary"].capitalize()
    for route in routes:
        for method in route.methods or ():
            operation = schema["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                _complete(operation, method, route, permissions.of(route))
    operations = [each for paths in ("paths", "webhooks") for item in schema.get(paths, {}).values() for each in item.values()]
    schema["tags"] = [
        {"name": tag} | ({"description": meanings.tags[tag]} if tag in meanings.tags else {})
        for tag in dict.fromkeys(tag for operation in operations for tag in operation.get("tags", ()))
    ]
    for operation in operations:
        _say_parameters(operation, meanings)
    schema = _renamed(schema, meanings)
    for name, each in schema["components"]["schemas"].items():
        if name not in SCHEMAS:
            _say_fields(name, each, meanings)
    return schema


def _complete(operation: dict[str, Any], method: str, route: APIRoute, permission: Permission) -> None:
    answers = {str(status): answer for status, answer in problems(*ALWAYS, *(WITH_BODY if "requestBody" in operation else ())).items()}
    declared = operation.setdefault("responses", {})
    declared.pop("422", None)
    operation["responses"] = {**answers, **declared}
    operation["operationId"] = _camel(route.name)
    operation["summary"] = operation["summary"].capitalize()
    # One of the roles is enough: each alternative names one.
    operation["security"] = [{"token": [role]} for role in sorted(permission.roles)]
    roles = [role if reach is ANYTHING else f"{role} ({reach})" for role, reach in sorted(permission.roles.items())]
    operation["description"] = f"{operation.get('description', '')}\n\nFor the roles: {', '.join(roles)}.".strip()
    _complete_answers(operation, method, route)
    _name_schemas(operation, route)
    if method == "POST":
        key = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[ -~]+$"}
        _header(operation, HEADER, True, "Your own name for this request; the same when you repeat it.", key)
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        _header(operation, "If-Match", False, "The ETag of the state that this is meant for; 412 if it has changed.", TEXT)
    if etags.is_conditional(method, route.path):
        _header(operation, "If-None-Match", False, "The ETag of the state that you know; 304 if it is still the one.", TEXT)
        operation["responses"]["304"] = NOT_MODIFIED
    if method == "GET" and "{" in route.path and permission.behind:
        _header(operation, BREAK_GLASS, False, GLASS, {"type": "string", "minLength": LEAST_REASON, "maxLength": WHY_LENGTH})


def _complete_answers(operation: dict[str, Any], method: str, route: APIRoute) -> None:
    for status, answer in operation["responses"].items():
        if not status.startswith("2") or answer["description"] != "Successful Response":
            continue
        answer["description"] = "What was asked for." if method == "GET" else DONE.get(status, "Done.")
        headers: dict[str, Any] = {}
        if status == "201":
            headers["Location"] = LOCATION
        if status == "201" or ("{" in route.path and not route.path.startswith("/ops/")):  # it is about one subject
            headers["ETag"] = ETAG
            if method == "POST":
                headers[REPLAYED] = AGAIN
        if headers:
            answer["headers"] = headers


def _name_schemas(operation: dict[str, Any], route: APIRoute) -> None:
    """FastAPI writes out a body, or an answer, whose class checks itself; clients want its name."""
    if route.body_field is not None:
        operation["requestBody"]["content"]["application/json"] = {"schema": _named(route.body_field.field_info.annotation)}
    for status, answer in operation["responses"].items():
        if status.startswith("2") and isinstance(route.response_model, type) and issubclass(route.response_model, BaseModel):
            answer["content"]["application/json"] = {"schema": _named(route.response_model)}
        elif "title" in (schema := answer.get("content", {}).get("application/json", {}).get("schema", {})):
            del schema["title"]  # the path once more


def _named(annotation: Any) -> dict[str, Any]:
    """The schema of a model. A body that need not be sent is left out, rather than null."""
    (model,) = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    return {"$ref": SCHEMA_PATH + model.__name__}


def _header(operation: dict[str, Any], name: str, required: bool, description: str, schema: dict[str, Any]) -> None:
    parameter = {"name": name, "in": "header", "required": required, "description": description, "schema": schema}
    operation.setdefault("parameters", []).append(parameter)


def _say_parameters(operation: dict[str, Any], meanings: Meanings) -> None:
    for parameter in operation.get("parameters", ()):
        schema = {name: value for name, value in parameter["schema"].items() if name not in ("title", "description")}
        branches = [each for each in schema.pop("anyOf", ()) if each.get("type") != "null"]  # it is left out, never null
        if len(branches) > 1:  # literals of two types: the values of both
            branches = [{"type": "string", "enum": [value for each in branches for value in each.get("enum", [each.get("const")])]}]
        for branch in branches:
            schema |= branch
        parameter["schema"] = schema
        if "description" not in parameter and (said := meanings.of(parameter["name"])):
            parameter["description"] = said
        if (example := meanings.example(parameter["name"])) is not None:
            parameter["example"] = example


def _say_fields(name: str, schema: dict[str, Any], meanings: Meanings) -> None:
    if what := meanings.fields.get(name) or NOTES.sub("", " ".join(schema.pop("description", "").split())).strip():
        schema["description"] = what
    if (example := meanings.examples.get(name)) is not None:
        schema["examples"] = [example]
    for field, of in schema.get("properties", {}).items():
        of.pop("title", None)  # the name once more
        branches = [each for each in of.get("anyOf", ()) if each.get("type") != "null"]
        for branch in branches:  # what an annotated type says of itself, FastAPI leaves inside
            of.setdefault("description", branch.pop("description", ""))
        if said := meanings.of(field, name):
            of["description"] = said
        elif not of.get("description"):
            of.pop("description", None)
        example = meanings.example(field, name)
        if example is None and len(plain := branches or [of]) == 1:
            example = {"uuid": UUID_EXAMPLE, "date-time": TIME_EXAMPLE}.get(plain[0].get("format", ""))
        if example is not None:
            of.setdefault("examples", [example])


def _renamed(schema: dict[str, Any], meanings: Meanings) -> dict[str, Any]:
    """With the schemas called as they are meant to be, here and wherever they are referred to. Raises ValueError where two would be
    called the same."""
    names = meanings.schemas(schema["components"]["schemas"])
    if len(set(names.values())) < len(names):
        twice = sorted({new for new in names.values() if list(names.values()).count(new) > 1})
        raise ValueError(f"Two schemas would be called {', '.join(twice)}: give one of them another name in the service's meanings.")

    def rename(node: Any, whole: bool = False) -> Any:
        if isinstance(node, dict):
            if not whole and "properties" in node and node.get("title") in names:  # written out, as in `_name_schemas`
                return {"$ref": SCHEMA_PATH + names[node["title"]]}
            return {key: _reference(value, names) if key == "$ref" else rename(value) for key, value in node.items()}
        return [rename(each) for each in node] if isinstance(node, list) else node

    schemas = schema["components"].pop("schemas")
    renamed: dict[str, Any] = rename(schema)
    renamed["components"]["schemas"] = {new: rename(schemas[old], whole=True) | {"title": new} for old, new in names.items()}
    return renamed


def _reference(reference: str, names: dict[str, str]) -> str:
    path, _, name = reference.rpartition("/")
    return f"{path}/{names.get(name, name)}"


def _camel(name: str) -> str:
    """As clients name their functions: `read_note` is `readNote`."""
    first, *more = name.split("_")
    return first + "".join(word.capitalize() for word in more)
