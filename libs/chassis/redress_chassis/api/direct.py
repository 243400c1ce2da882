"""What serves a declared endpoint: commands, and reads of one thing, without FastAPI's general machinery.

FastAPI declares every endpoint, checks it and documents it. But for each request it opens exit stacks, solves a graph of dependencies that
has one node, and parses and converts a body that the door has parsed: a third of a registration's processor time as it was (FastAPI 0.165).
An endpoint that asks for a call, path parameters, named headers and a JSON body is served without that; whatever has another signature,
and every request that is not right, is left to FastAPI. That both answer alike is tested.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.params import Body
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from redress_chassis.api.commands import CommandsDependency, ResponseHead
from redress_chassis.edge import query_string
from redress_chassis.edge.request_context import RequestContext, request_context_of

Given = Callable[[RequestContext, Scope], Any]  # what was sent for a parameter, or None
Parameter = tuple[str, FieldInfo, TypeAdapter[Any], Given]


class Served(Route):
    """Serves what a route declares."""

    def __init__(self, declared: Route) -> None:
        generally = AsyncExitStackMiddleware(declared.handle)  # FastAPI's own handler asks for its stack
        app = Direct(declared, generally) if isinstance(declared, APIRoute) and is_plain(declared) else generally
        guarded = query_string.Guarded(app, query_string.known_to(declared))
        super().__init__(declared.path, guarded, methods=declared.methods, name=declared.name)
        self.methods = declared.methods
        self.declared = declared

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            child_scope["route"] = self.declared
        return match, child_scope


def served(route: BaseRoute) -> BaseRoute:
    return Served(route) if isinstance(route, Route) else route


def is_plain(route: APIRoute) -> bool:
    """Whether this endpoint has one of the signatures that are served directly."""
    wanted = route.dependant
    return (
        [type(each.call) for each in wanted.dependencies] == [CommandsDependency]
        and not (wanted.query_params or wanted.cookie_params or wanted.request_param_name or wanted.response_param_name)
        and not (wanted.http_connection_param_name or wanted.background_tasks_param_name or wanted.security_scopes_param_name)
        and len(wanted.body_params) <= 1
        and all(type(each.field_info) is Body and not each.field_info.embed for each in wanted.body_params)
        and route.response_model is not None
        and isinstance(route.response_class, DefaultPlaceholder)
        and inspect.iscoroutinefunction(wanted.call)
    )


class Direct:
    """An ASGI app for one plain endpoint. generally: FastAPI's own for it."""

    def __init__(self, declared: APIRoute, generally: ASGIApp) -> None:
        wanted = declared.dependant
        (dependency,) = wanted.dependencies
        assert isinstance(dependency.call, CommandsDependency)
        assert dependency.name is not None
        self.declared = declared
        self.generally = generally
        self._endpoint = declared.endpoint
        self._commands, self._call_name = dependency.call, dependency.name
        self._parameters: list[Parameter] = [
            *((each.name, each.field_info, _adapter(each.field_info), _in_path(each.alias)) for each in wanted.path_params),
            *((each.name, each.field_info, _adapter(each.field_info), _in_header(each.alias)) for each in wanted.header_params),
        ]
        self._body = [(each.name, each.field_info, _adapter(each.field_info)) for each in wanted.body_params]
        self._answer: TypeAdapter[Any] = TypeAdapter(declared.response_model)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_context, answer = request_context_of(scope), ResponseHead()
        values: dict[str, Any] = {self._call_name: self._commands.commands(scope, answer)}
        try:
            for name, info, adapter, given in self._parameters:
                value = given(request_context, scope)
                values[name] = _default(info) if value is None else adapter.validate_python(value)
            for name, info, adapter in self._body:
                raw = request_context.raw
                values[name] = adapter.validate_json(raw) if raw else _default(info)
        except (ValidationError, OverflowError, NotGiven):  # FastAPI finds the words for it, and defaults where a body is null
            await self.generally(scope, receive, send)
            return
        content = self._content(await self._endpoint(**values))
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        status = self.declared.status_code or answer.status_code or 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _content(self, answered: Any) -> bytes:
        route = self.declared
        return self._answer.dump_json(
            self._answer.validate_python(answered, from_attributes=True),
            include=route.response_model_include,
            exclude=route.response_model_exclude,
            by_alias=route.response_model_by_alias,
            exclude_unset=route.response_model_exclude_unset,
            exclude_defaults=route.response_model_exclude_defaults,
            exclude_none=route.response_model_exclude_none,
        )


class NotGiven(Exception):
    """A parameter that has no default was not sent."""


def _adapter(info: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = info.annotation
    return TypeAdapter(Annotated[(annotation, *info.metadata)] if info.metadata else annotation)


def _default(info: FieldInfo) -> Any:
    if info.is_required():
        raise NotGiven
    return info.get_default(call_default_factory=True)


def _in_path(alias: str) -> Given:
    return lambda _, scope: scope["path_params"].get(alias)


def _in_header(alias: str) -> Given:
    name = alias.lower().encode()
    return lambda request_context, _: request_context.header(name)
