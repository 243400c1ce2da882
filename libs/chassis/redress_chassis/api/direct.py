"""Serves an endpoint that asks for a call, path parameters, named headers and a JSON body without FastAPI's general machinery.

That is the signature of every command, and of reads of one thing. FastAPI declares it, checks it and documents it as ever; but for each
request it opens exit stacks, solves a graph of dependencies that has one node, and parses and converts a body that the door has parsed: a
third of a registration's processor time as it was (FastAPI 0.165). Whatever has another signature is left to FastAPI. That both answer
alike is tested.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi._compat import ModelField, get_missing_field_error
from fastapi.datastructures import DefaultPlaceholder
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from redress_chassis.api.commands import Answer, CommandsDependency
from redress_chassis.edge.request_context import RequestContext, request_context_of

Given = Callable[[RequestContext, Scope], Any]  # what was sent for a parameter, or MISSING
MISSING: Any = object()


def take(route: BaseRoute) -> bool:
    """Serve this route directly, if its signature is one of those. → whether it is."""
    if not isinstance(route, APIRoute) or not _is_plain(route):
        return False
    route.app = _app(route)
    return True


def _is_plain(route: APIRoute) -> bool:
    wanted = route.dependant
    return (
        [type(each.call) for each in wanted.dependencies] == [CommandsDependency]
        and not (wanted.query_params or wanted.cookie_params or wanted.request_param_name or wanted.response_param_name)
        and not (wanted.http_connection_param_name or wanted.background_tasks_param_name or wanted.security_scopes_param_name)
        and all(each.field_info.alias for each in wanted.header_params)
        and len(wanted.body_params) <= 1
        and not (wanted.body_params and route._embed_body_fields)
        and route.response_field is not None
        and isinstance(route.response_class, DefaultPlaceholder)
        and route.stream_item_field is None
        and inspect.iscoroutinefunction(wanted.call)
    )


def _app(route: APIRoute) -> ASGIApp:
    (dependency,) = route.dependant.dependencies
    commands, call_name, endpoint = dependency.call, dependency.name, route.dependant.call
    assert isinstance(commands, CommandsDependency)
    assert call_name is not None
    assert endpoint is not None
    parameters = [_in_path(field) for field in route.dependant.path_params] + [_in_header(field) for field in route.dependant.header_params]
    body = route.dependant.body_params[0] if route.dependant.body_params else None
    usual = route.status_code

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request_context, answer = request_context_of(scope), Answer()
        values: dict[str, Any] = {call_name: commands.commands(scope, answer)}
        errors: list[Any] = []
        for field, where, given in parameters:
            values[field.name], found = _validated(field, given(request_context, scope), (where, field.alias))
            errors += found
        if body is not None:
            values[body.name], found = _body(body, request_context)
            errors += found
        if errors:
            raise RequestValidationError(errors, body=request_context.body)
        content = _content(route, await endpoint(**values))
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": usual or answer.status_code or 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


def _in_path(field: ModelField) -> tuple[ModelField, str, Given]:
    return field, "path", lambda _, scope: scope["path_params"].get(field.alias, MISSING)


def _in_header(field: ModelField) -> tuple[ModelField, str, Given]:
    name = field.alias.lower().encode()

    def given(request_context: RequestContext, _: Scope) -> Any:
        value = request_context.header(name)
        return MISSING if value is None else value

    return field, "header", given


def _body(field: ModelField, request_context: RequestContext) -> tuple[Any, list[Any]]:
    model = field.field_info.annotation
    if request_context.raw and isinstance(model, type) and issubclass(model, BaseModel):
        try:
            return model.__pydantic_validator__.validate_json(request_context.raw), []
        except (ValidationError, OverflowError):
            pass  # what is wrong is said below, in the words that FastAPI finds for it
    return _validated(field, request_context.body if request_context.raw else MISSING, ("body",))


def _validated(field: ModelField, value: Any, place: tuple[str, ...]) -> tuple[Any, list[Any]]:
    if value is not MISSING:
        return field.validate(value, {}, loc=place)
    if field.field_info.is_required():
        return None, [get_missing_field_error(place)]
    return field.default, []  # frozen models and plain values: nobody changes them


def _content(route: APIRoute, answered: Any) -> bytes:
    field = route.response_field
    assert field is not None
    value, errors = field.validate(answered, {}, loc=("response",))
    if errors:
        raise ResponseValidationError(errors=errors, body=answered)
    return field.serialize_json(
        value,
        include=route.response_model_include,
        exclude=route.response_model_exclude,
        by_alias=route.response_model_by_alias,
        exclude_unset=route.response_model_exclude_unset,
        exclude_defaults=route.response_model_exclude_defaults,
        exclude_none=route.response_model_exclude_none,
    )
