"""The connections of one port: how many there may be, how large the head of a request, and how long each may take for what it sends.

uvicorn has a time limit between two requests, and none of these. A header that does not end is copied again with every piece of it that
comes, so the longer it is, the more each piece costs; and who sends half a head keeps a connection forever.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from redress_chassis.edge.paths import OPS_STATE
from redress_chassis.edge.problems import Problem
from redress_chassis.edge.trace import continued
from redress_chassis.http_settings import HttpSettings

BETWEEN = len(b": \r\n")  # bytes of each header beside its name and its value
PIPELINED = 16  # requests of one connection that wait for the one before; no client in use sends any
LINGER = 2.0  # seconds that a caller who still sends has to read why they are refused
DISCARDED = 1024 * 1024  # bytes that are read of them meanwhile
log = structlog.get_logger()


class Awaited(Enum):
    """What a connection waits for: the end of a head, the end of a body, our answer, the next request, or that the other side leaves."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REQUEST = auto()
    END = auto()


class NotTaken(Exception):
    """Breaks the parser off."""


@dataclass(eq=False)
class Port:
    """Where a server listens, and whoever is connected there.

    At the limit a newcomer takes the place of the connection that has asked for nothing for the longest time: callers open another one.
    Where all have a request under way, the newcomer is refused. So half-sent requests keep nobody out, however many there are.
    """

    host: str
    number: int
    limits: HttpSettings
    ops: bool = False
    connected: set[GuardedConnection] = field(default_factory=set)
    resting: OrderedDict[GuardedConnection, None] = field(default_factory=OrderedDict)  # no request under way; the longest time first
    refused: Counter[str] = field(default_factory=Counter)

    def connection(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> GuardedConnection:
        return GuardedConnection(self, config=config, server_state=server_state, app_state=app_state | {OPS_STATE: self.ops})

    def came(self, connection: GuardedConnection) -> None:
        self.connected.add(connection)
        if len(self.connected) > self.limits.max_connections:
            if not self.resting:
                connection.refuse("no-place", full(), linger=False)
                return
            oldest, _ = self.resting.popitem(last=False)
            oldest.leave("gave-way")
        self.resting[connection] = None

    def went(self, connection: GuardedConnection) -> None:
        self.connected.discard(connection)
        self.resting.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Once a second. now: the loop's time, in seconds."""
        for connection in list(self.connected):
            connection.check(now)
        if self.refused:  # one line for all: whoever floods the port is not to flood the log too
            log.warning("connections-refused", reasons=dict(self.refused), connected=len(self.connected), ops=self.ops)
            self.refused.clear()


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's connection within the limits of its port."""

    def __init__(self, port: Port, *, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self._port = port
        self._limits = port.limits
        self._awaited = Awaited.HEAD
        self._since = 0.0  # the loop's time
        self._stalled: float | None = None  # since when the other side takes nothing of our answer
        self._unread = 0  # bytes since the last head or piece of a body was whole
        self._too_large = False  # the head that is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._port.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.went(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._awaited is Awaited.END:
            if self._unread > DISCARDED:
                self.transport.abort()
            return
        if self._awaited is Awaited.REQUEST:
            self._await(Awaited.HEAD)
        super().data_received(data)
        if self._unread > self._limits.max_header_bytes:
            self.refuse("head-too-large", too_large_head(self._limits))

    def on_message_begin(self) -> None:
        if self._awaited is not Awaited.HEAD:
            self._await(Awaited.HEAD)
        if len(self.pipeline) >= PIPELINED:
            raise NotTaken
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        headers, limits = self.headers, self._limits
        size = len(self.url) + sum(len(name) + len(value) for name, value in headers)
        if len(headers) > limits.max_headers or size + len(headers) * BETWEEN > limits.max_header_bytes:
            self._too_large = True
            raise NotTaken
        self._unread = 0
        self._await(Awaited.BODY)
        self._port.resting.pop(self, None)
        super().on_headers_complete()
        self.headers = []  # what follows a body is no header: nobody has checked it

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()
        self._await(Awaited.REQUEST if self.cycle.response_complete else Awaited.ANSWER)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # the next one had come already
        if self._awaited is Awaited.ANSWER:
            self._await(Awaited.REQUEST)
        if self in self._port.connected:
            self._port.resting[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what the parser does not take."""
        if self._too_large:
            self.refuse("head-too-large", too_large_head(self._limits))
        else:
            self.refuse("malformed", Problem(400, "malformed-request", "This is not a readable HTTP/1.1 request."))

    def shutdown(self) -> None:
        if self._awaited is Awaited.END:
            self.transport.abort()
        else:
            super().shutdown()

    def check(self, now: float) -> None:
        """Whether its time is up. now: the loop's time, in seconds."""
        waited, limits = now - self._since, self._limits
        if self._stalled is not None and now - self._stalled > limits.body_seconds:
            self.leave("answer-not-taken")
        elif self._awaited is Awaited.END and waited > LINGER:
            self.transport.abort()
        elif self._awaited is Awaited.HEAD and waited > limits.header_seconds:
            if self._unread:
                self.refuse("head-too-slow", too_slow("headers", limits.header_seconds))
            else:
                self.leave("nothing-sent")
        elif self._awaited is Awaited.BODY and waited > limits.body_seconds:
            if self.cycle.response_complete:
                self.leave("body-too-slow")
            else:
                self.refuse("body-too-slow", too_slow("body", limits.body_seconds))
        elif self._awaited is Awaited.REQUEST and waited > limits.idle_seconds:  # uvicorn forgets it after some sequences of bytes
            self.transport.close()

    def refuse(self, reason: str, problem: Problem, *, linger: bool = True) -> None:
        """Answer so, if that can be taken for the answer to the request that is read now, and close. reason: for the log.

        linger: they may still send. Who closes while something is unread takes back the answer too.
        """
        if self.transport.is_closing() or self._awaited is Awaited.END:
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._awaited is not Awaited.BODY or self.pipeline or cycle.response_started:
                self.leave(reason)
                return
            cycle.disconnected = True  # the app is told that the caller has left
            cycle.message_event.set()
        self._port.refused[reason] += 1
        self._unread = 0
        self._await(Awaited.END)
        self.transport.write(_answer(problem))
        if linger and self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    def leave(self, reason: str) -> None:
        """Close without an answer, at once also where the other side takes nothing."""
        self._port.refused[reason] += 1
        self._await(Awaited.END)
        self.transport.abort()

    def _await(self, awaited: Awaited) -> None:
        self._awaited = awaited
        self._since = self.loop.time()


def too_large_head(limits: HttpSettings) -> Problem:
    detail = f"Address and headers of a request may have {limits.max_header_bytes} bytes, and there may be {limits.max_headers} headers."
    return Problem(431, "head-too-large", detail)


def too_slow(what: str, seconds: float) -> Problem:
    return Problem(408, "too-slow", f"The {what} did not come within {seconds:g} seconds. Repeat it with the same key: nothing was done.")


def full() -> Problem:
    detail = "Every connection that this server accepts is busy. Repeat after a moment with the same key: nothing was done."
    return Problem(503, "busy", detail, headers={"retry-after": "1"})


def _answer(problem: Problem) -> bytes:
    response = problem.response(continued(None).trace)
    headers = [*response.raw_headers, (b"cache-control", b"no-store"), (b"connection", b"close")]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[problem.status] + head + b"\r\n" + bytes(response.body)
