"""The front door, as pure ASGI: the trace, the token, who asks too much, the body's size and strictness; every failure leaves as a problem.

The token is checked before the body is read, and for every path that is not declared open: a route that forgot to ask is not public.
Long, for the order of all that happens at the door is what it decides.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import structlog
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redress_chassis.api.etags import NotModified, quoted
from redress_chassis.api.strict_json import strict_json
from redress_chassis.api.validation import Flaw, Where
from redress_chassis.auth.callers import Caller, bearer
from redress_chassis.edge.audit import BREAK_GLASS, reading_of, refusal_of, stranger_of
from redress_chassis.edge.caller_limits import CallerLimits, address_of
from redress_chassis.edge.forwarded import ROOT
from redress_chassis.edge.headers import refuse_repeated, secured
from redress_chassis.edge.logs import AccessLog, frames
from redress_chassis.edge.paths import Paths
from redress_chassis.edge.problems import Problem, busy, defect, problem_of
from redress_chassis.edge.request_context import PLACE, RequestContext
from redress_chassis.edge.trace import CURRENT, continued, of_span
from redress_chassis.operations.metrics import METHODS, Metrics
from redress_chassis.settings import Settings
from redress_spine.tracing import Span, Tracer

WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What programs of other origins' pages may send and read, where a setting lets them call at all.
ALLOWED_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALLOWED_HEADERS = (
    *("authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id", "traceparent"),
    BREAK_GLASS.lower(),
)
EXPOSED_HEADERS = ("etag", "idempotency-replayed", "location", "retry-after")
log = structlog.get_logger()


class CallerCheck(Protocol):
    """What the door must know of its service, which may still be starting."""

    metrics: Metrics
    access: AccessLog
    tracer: Tracer | None

    @property
    def settings(self) -> Settings: ...

    async def caller(self, token: str) -> Caller: ...

    async def audit(self, record: dict[str, Any]) -> None: ...

    def tally(self, record: dict[str, Any]) -> None: ...


class EdgeMiddleware:
    """Everything that happens before the routes and after them. other: serves what is no request, as the app's start and end.

    A caller is counted by their subject, and who has no valid token by their address. Their token is looked at all the same: so nobody who
    sends bad ones keeps out another of the same address.

    Who comes while as many requests as may be are under way is told to come again, and nothing is done for them: a queue that grows
    makes all wait until they have given up. Whose body is still on its way takes no place. Health and metrics are always answered.
    """

    def __init__(self, app: ASGIApp, gate: CallerCheck, paths: Paths, other: ASGIApp) -> None:
        self._app = app
        self._other = other
        self._gate = gate
        self._paths = paths
        self._under_way = 0
        self._takes = 0.0  # seconds, as the last requests took

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
        else:
            await self._entrance(scope, receive, send)

    @cached_property
    def _entrance(self) -> ASGIApp:
        """Where programs of other origins' pages may call, what tells their browsers so. (Before the first request are no settings.)"""
        if (cross_origin := self._cross_origin) is None:
            return self._serve

        async def entrance(scope: Scope, receive: Receive, send: Send) -> None:
            await (self._serve if is_preflight(scope) else cross_origin)(scope, receive, send)

        return entrance

    @cached_property
    def _cross_origin(self) -> CORSMiddleware | None:
        """It answers preflights itself, and adds to what others answer."""
        if not (origins := self._gate.settings.origins):
            return None
        return CORSMiddleware(
            self._serve,
            allow_origins=origins,
            allow_methods=ALLOWED_METHODS,
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )

    @cached_property
    def _limits(self) -> tuple[CallerLimits, CallerLimits]:
        """Of callers by their subjects, and by their addresses."""
        settings = self._gate.settings
        return CallerLimits(settings.caller_rate, settings.caller_burst), CallerLimits(settings.caller_rate, settings.caller_burst)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        headers = dict(scope["headers"])
        traceparent = headers.get(b"traceparent", b"").decode("latin-1")
        root = scope.get("root_path", "")
        ROOT.set(root)
        path = scope["path"].removeprefix(root)  # the server sets the one before the other
        span = self._span(path, scope["method"], traceparent)
        trace = continued(traceparent) if span is None else of_span(span.traceparent)
        request_context = scope[PLACE] = RequestContext(scope["method"], path, trace, headers, span=span)
        CURRENT.set(trace)  # a request is a task of its own: nobody has to take it back

        # Every GET answers a HEAD, without its content. The server goes by its own scope, and keeps the content's length.
        if request_context.method == "HEAD":
            scope = {**scope, "method": "GET"}

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Here, where nothing has left yet: a reading that cannot be recorded is not answered.
                if message["status"] < 400 and (reading := reading_of(scope)) is not None:
                    await self._gate.audit(reading)
                request_context.status = message["status"]
                message["headers"] = secured(message.get("headers", ()), path, scope["scheme"] == "https")
            elif request_context.method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._pass(scope, receive, noting, request_context)
        except NotModified as same:
            await Response(status_code=304, headers={"etag": quoted(same.etag)})(scope, receive, noting)
        except ClientDisconnect:
            request_context.status, request_context.code = request_context.status or 499, "client-gone"
        except Exception as error:
            await self._answer(error, scope, receive, noting, request_context)
        finally:
            self._record(scope, request_context, request_context.seconds or time.perf_counter() - began)

    def _span(self, path: str, method: str, traceparent: str) -> Span | None:
        """Health and metrics are asked too often to be worth a span."""
        if self._gate.tracer is None or path in self._paths.open:
            return None
        method = method if method in METHODS else "_OTHER"
        return self._gate.tracer.begin(method, "server", traceparent, {"http.request.method": method})

    async def _pass(self, scope: Scope, receive: Receive, send: Send, request_context: RequestContext) -> None:
        settings, path = self._gate.settings, request_context.path
        if settings.ops_port is not None and self._paths.elsewhere(path, scope):
            raise HTTPException(404)
        if len(request_context.headers) != len(scope["headers"]):
            refuse_repeated(scope["headers"])
        if self._cross_origin is not None and is_preflight(scope):
            self._limits[1].take(address_of(scope))  # a browser asks without a token
            await self._cross_origin(scope, receive, send)
            return
        if path not in self._paths.uncounted:
            await self._counted(scope, request_context)
        _check_address(scope)
        if request_context.method in WITH_BODY:
            raw = await read(receive, request_context.headers, settings.max_body)
            if raw:
                _check_type(request_context)
                request_context.raw, request_context.body = raw, strict_json(raw)
            receive = replayed(raw, receive)
        if path in self._paths.open:
            await self._app(scope, receive, send)
            return
        if self._under_way >= settings.max_under_way:
            raise busy(self._takes)
        self._under_way += 1
        began = time.perf_counter()

        def release() -> float:
            request_context.release = None
            took = time.perf_counter() - began
            self._under_way -= 1
            self._takes += 0.1 * (took - self._takes)
            return took

        request_context.release = release
        try:
            await self._app(scope, receive, send)
        finally:
            if request_context.release is not None:
                release()

    async def _counted(self, scope: Scope, request_context: RequestContext) -> None:
        """Who calls, if the path asks for it. Raises 401, and 429 where they ask too much."""
        subjects, addresses = self._limits
        if request_context.path in self._paths.open:
            addresses.take(address_of(scope))
            return
        try:
            request_context.caller = await self._gate.caller(bearer(request_context.header(b"authorization")))
        except Problem as problem:
            if problem.status == 401:
                addresses.take(address_of(scope))
            raise
        subjects.take(request_context.caller.sub)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send, request_context: RequestContext) -> None:
        problem = problem_of(error)
        if problem is None or (problem.status == 503 and not isinstance(error, Problem)):
            log.log(40 if problem is None else 30, "failed", error=type(error).__name__, at=frames(error), subject=request_context.subject)
        if request_context.status:  # the answer is half sent: all that is left is to break it off, so that nobody takes it for whole
            request_context.code = "broken-off"
            raise BrokenOff from None
        problem = await self._noted(scope, problem or defect(), request_context)
        request_context.code = problem.code
        await problem.response(request_context.trace.trace)(scope, receive, send)

    async def _noted(self, scope: Scope, problem: Problem, request_context: RequestContext) -> Problem:
        """The same, once the audit trail has it where it refuses; else what stands in the way of that."""
        if (refusal := refusal_of(scope, problem)) is None:
            return problem
        if request_context.caller is None:
            self._gate.tally(stranger_of(scope, problem))
            return problem
        try:
            await self._gate.audit(refusal)
        except Exception as error:
            return problem_of(error) or defect()
        return problem

    def _record(self, scope: Scope, request_context: RequestContext, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "")  # the template: a path holds ids, and a made-up path anything
        self._gate.metrics.request(request_context.method, route, request_context.status, seconds)
        line: dict[str, str | int | float] = {
            "method": request_context.method if request_context.method in METHODS else "other",
            "route": route,
            "status": request_context.status,
            "ms": round(seconds * 1000, 1),
            "trace_id": request_context.trace.trace,
            "span_id": request_context.trace.span,
        }
        if request_context.subject:
            line["subject"] = request_context.subject
        if request_context.code:
            line["code"] = request_context.code
        self._gate.access(**line)
        if request_context.span is not None:
            _end(request_context.span, request_context, route)


def _end(span: Span, request_context: RequestContext, route: str) -> None:
    """The route's template stands for the path, which may hold anything."""
    attributes: dict[str, str | int] = {"http.response.status_code": request_context.status}
    if route:
        attributes["http.route"] = route
    if request_context.subject:
        attributes["redress.subject"] = request_context.subject
    if request_context.code:
        attributes["redress.code"] = request_context.code
    failed = (request_context.code or str(request_context.status)) if not 0 < request_context.status < 500 else None
    method = request_context.method if request_context.method in METHODS else "HTTP"
    span.end(attributes, name=f"{method} {route}".rstrip(), error=failed)


class BrokenOff(Exception):
    """An answer failed after it had begun. The reason is in the log line before."""


def is_preflight(scope: Scope) -> bool:
    """A browser asks whether a program of another origin's page may call."""
    names = {name for name, _ in scope["headers"]}
    return scope["method"] == "OPTIONS" and b"origin" in names and b"access-control-request-method" in names


async def read(receive: Receive, headers: dict[bytes, bytes], most: int) -> bytes:
    """The whole body. Raises a 413 by its declared length, or as soon as more than `most` bytes have come; ClientDisconnect."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > most):
        raise _too_large(most)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def replayed(raw: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """The body once more, for the route; then whatever comes after it."""
    waiting = [raw]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _check_type(request_context: RequestContext) -> None:
    media, _, parameters = (request_context.header(b"content-type") or "").lower().partition(";")
    media = media.strip()
    charset = parameters.replace(" ", "").replace('"', "").partition("charset=")[2].partition(";")[0]
    json = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
    if not json or charset not in ("", "utf-8", "utf8") or request_context.headers.get(b"content-encoding", b"identity") != b"identity":
        headers = {"accept-post": "application/json"} if request_context.method == "POST" else {}
        raise Problem(415, "unsupported-media-type", "Send the body as application/json in UTF-8, without compression.", headers=headers)


def _check_address(scope: Scope) -> None:
    """NUL and broken UTF-8 have no place in an address; the server decodes a path leniently, so its raw form is looked at."""
    parts: tuple[tuple[Where, bytes], ...] = (("path", scope.get("raw_path") or b""), ("query", scope.get("query_string") or b""))
    for where, raw in parts:
        if b"%" not in raw:
            continue
        try:
            broken = "\0" in unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            broken = True
        if broken:
            detail = "NUL characters and broken UTF-8 are not allowed here."
            raise Problem(400, "malformed-address", f"{where}: {detail}", [Flaw("", detail, "malformed-address", where)])
    if "\0" in scope["path"]:
        raise Problem(
            400, "malformed-address", "The path holds a NUL character.", [Flaw("", "NUL is not allowed.", "malformed-address", "path")]
        )


def _too_large(most: int) -> Problem:
    # Closing spares us from reading the rest.
    return Problem(413, "too-large", f"The body may have {most} bytes.", headers={"connection": "close"})
