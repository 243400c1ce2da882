"""What the chassis adds to every operation, said in the OpenAPI document too: token, roles, keys, tags and problems."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from redress_chassis.api.bodies import LEAST_REASON
from redress_chassis.api.idempotency import HEADER, LONGEST
from redress_chassis.auth.permissions import ANYTHING, Permission, Permissions
from redress_chassis.edge.audit import BREAK_GLASS
from redress_spine.processing.skips import WHY_LENGTH

ALWAYS = (400, 401, 403, 422, 429, 503)  # statuses that any operation may answer
WITH_BODY = (413, 415)
SENTENCES = {
    400: "The request is malformed: JSON, address, cursor or idempotency key.",
    401: "No token, or one that cannot be accepted.",
    403: "The caller has none of the roles that may.",
    404: "Not there, or not for this caller.",
    409: "Not allowed in the present state; `code` says why.",
    412: "It has changed since the tag in If-Match was read.",
    413: "The body is too large.",
    415: "The body is not JSON in UTF-8.",
    422: "A value is not acceptable, or the idempotency key stands for another request; `errors` points to what is wrong.",
    429: "The caller asks for too much; repeat after Retry-After seconds.",
    503: "Something needed is away, or too much is under way; repeat after Retry-After seconds.",
}
GLASS = "Why you must read what is out of your reach. It is recorded with your name. UTF-8, percent-encoded where that is not ASCII."
TEXT = {"type": "string"}
FLAW = {"type": "object", "properties": {"in": TEXT, "pointer": TEXT, "code": TEXT, "detail": TEXT}}
SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457. Programs read `code`, people `detail`; `trace` finds the log lines.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "trace"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "code", "trace", "pointer"), TEXT),
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": FLAW},
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: the problems it may answer beside those that every route may."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": SENTENCES.get(status, HTTPStatus(status).phrase), "content": content} for status in statuses}


def document(app: FastAPI, routes: Sequence[BaseRoute], webhooks: Sequence[BaseRoute]) -> dict[str, Any]:
    """FastAPI's document of these routes, completed; made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=routes, webhooks=webhooks)
        app.openapi_schema = _completed(schema, routes, app.state.serving.permissions)
    return app.openapi_schema


def _completed(schema: dict[str, Any], routes: Sequence[BaseRoute], permissions: Permissions) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = SCHEMA
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which nobody gets to see
        components["schemas"].pop(name, None)
    for operations in schema.get("webhooks", {}).values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # it is others who answer
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                _complete(operation, method, permissions.of(route))
                if method == "GET" and "{" in route.path and permissions.of(route).behind:
                    _header(operation, BREAK_GLASS, False, GLASS, {"type": "string", "minLength": LEAST_REASON, "maxLength": WHY_LENGTH})
    return schema


def _complete(operation: dict[str, Any], method: str, permission: Permission) -> None:
    answers = {str(status): answer for status, answer in problems(*ALWAYS, *(WITH_BODY if "requestBody" in operation else ())).items()}
    declared = operation.setdefault("responses", {})
    declared.pop("422", None)
    operation["responses"] = {**answers, **declared}
    operation["security"] = [{"token": []}]
    roles = [role if reach is ANYTHING else f"{role} ({reach})" for role, reach in sorted(permission.roles.items())]
    operation["description"] = f"{operation.get('description', '')}\n\nFor the roles: {', '.join(roles)}.".strip()
    if method == "POST":
        key = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[ -~]+$"}
        _header(operation, HEADER, True, "Your own name for this request; the same when you repeat it.", key)
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        _header(operation, "If-Match", False, "The ETag of the state that this is meant for; 412 if it has changed.", TEXT)


def _header(operation: dict[str, Any], name: str, required: bool, description: str, schema: dict[str, Any]) -> None:
    parameter = {"name": name, "in": "header", "required": required, "description": description, "schema": schema}
    operation.setdefault("parameters", []).append(parameter)
