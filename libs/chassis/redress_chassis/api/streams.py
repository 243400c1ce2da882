"""A list of a subject's that is followed: server-sent events, each new entry about a second after it is known here. (WHATWG HTML, 9.2)

An event's id says how much is known of each source: `handling:3,intake:1`. Who comes again with it as `Last-Event-ID` gets what they have
not seen, whichever replica answers. A place in the list would not do, for an entry's place is its time, and one may come late.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from redress_chassis.api.validation import Flaw
from redress_chassis.edge.problems import Problem, busy, problem_of, too_many
from redress_chassis.edge.request_context import request_context_of
from redress_spine.store.entries import Listed

if TYPE_CHECKING:
    from redress_spine.store.engine import Engine

ENDING = "redress.ending"  # in the state of an ASGI scope: the process is to end, and streams with it
EVERY = 1.0  # seconds between two looks at what is followed
STILL_HERE = 15.0  # seconds without an event, after which a comment shows proxies that the stream lives; the token is judged again
LONGEST = 15 * 60.0  # seconds of one stream; then the caller comes again
RETRY = 2_000  # milliseconds after which they do
MOST = 500  # streams of a process
MOST_OF_ONE = 50  # of them one caller's
MOST_ENTRIES = 200  # of a list at a time: of more, the newest
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx passes on what comes, at once
]
SEEN = re.compile(r"([a-z-]{1,40}):([1-9][0-9]{0,17})")
LONGEST_ID = 400
log = structlog.get_logger()

LastEventId = Annotated[
    str | None,
    Header(
        max_length=LONGEST_ID,
        description="The id of the last event that you have got. Without it you get what is there, the newest 200 at most.",
    ),
]


@dataclass(eq=False, slots=True)
class Follower:
    """Who follows a subject. revision: up to which they have been told."""

    subject: str
    caller: str
    revision: int = -1
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Streams:
    """All that is followed at one process. One question a second tells which subjects have changed, however many are followed."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._followers: set[Follower] = set()
        self._of: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def following(self, subject: str, caller: str) -> Iterator[Follower]:
        """Raises a 503, and a 429 where they follow too much."""
        if self._of[caller] >= MOST_OF_ONE:
            raise too_many(STILL_HERE)
        if len(self._followers) >= MOST:
            raise busy(STILL_HERE)
        follower = Follower(subject, caller)
        self._followers.add(follower)
        self._of[caller] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="streams")
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
            if not self._followers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        """A database that is away is waited for: whoever follows is told afterwards."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                revisions = await self._engine().revisions(sorted({each.subject for each in self._followers}))
            except Exception as error:
                log.warning("streams-wait", error=type(error).__name__)
                continue
            for each in self._followers:
                if (revision := revisions.get(each.subject, each.revision)) != each.revision:
                    each.revision = revision
                    each.changed.set()


class EventStream(Response):
    """The answer. allowed: raises a problem when the caller may no longer see the subject. view: of an entry, what is sent."""

    def __init__(
        self,
        subject: str,
        name: str,
        caller: str,
        seen: Mapping[str, int],
        *,
        event: str,
        view: Callable[[Listed], BaseModel],
        allowed: Callable[[], Awaitable[object]],
    ) -> None:
        super().__init__()
        self._subject, self._name, self._caller, self._seen = subject, name, caller, seen
        self._event, self._view, self._allowed = event, view, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        serving, context = scope["app"].state.serving, request_context_of(scope)
        if context.method == "HEAD":  # it has no content that anybody could follow
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        with serving.streams.following(self._subject, self._caller) as follower:
            news = await self._news(serving.engine)
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            context.begun()
            ends = [asyncio.create_task(_gone(receive), name="stream-gone")]
            if (ending := scope.get("state", {}).get(ENDING)) is not None:
                ends.append(asyncio.create_task(ending.wait(), name="stream-ending"))
            try:
                await _say(send, f"retry: {RETRY}\n\n{news}".encode())
                async with asyncio.timeout(LONGEST):
                    await self._tell(serving.engine, follower, ends, send)
            except TimeoutError:
                pass
            except Exception as error:
                if (problem := problem_of(error)) is None:
                    raise
                context.code = problem.code  # for the log: they come again, and are answered so
            finally:
                for each in ends:
                    each.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, engine: Engine, follower: Follower, ends: list[asyncio.Task[Any]], send: Send) -> None:
        while True:
            changed = asyncio.create_task(follower.changed.wait(), name="stream-changed")
            try:
                await asyncio.wait({changed, *ends}, timeout=STILL_HERE, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if any(each.done() for each in ends):
                return
            await self._allowed()
            news = ""
            if follower.changed.is_set():
                follower.changed.clear()
                news = await self._news(engine)
            await _say(send, (news or ": still here\n\n").encode())

    async def _news(self, engine: Engine) -> str:
        """What they have not seen. The last event of it has the id, so whoever loses half of it gets all of it again."""
        found, self._seen = await engine.unseen(self._subject, self._name, self._seen, limit=MOST_ENTRIES)
        events = [f"event: {self._event}\ndata: {self._view(each).model_dump_json(exclude_none=True)}\n" for each in found]
        if events:
            events[-1] += f"id: {id_of(self._seen)}\n"
        return "".join(f"{each}\n" for each in events)


def id_of(seen: Mapping[str, int]) -> str:
    return ",".join(f"{source}:{version}" for source, version in sorted(seen.items()))


def seen_of(last_event_id: str | None) -> dict[str, int]:
    """Raises a 400 `bad-cursor`."""
    seen = {}
    for part in (last_event_id or "").split(",") if last_event_id else ():
        if not (match := SEEN.fullmatch(part)):
            detail = "Send the id of the last event that you have got, as it came, or leave the header out."
            raise Problem(400, "bad-cursor", detail, [Flaw("/last-event-id", detail, "bad-cursor", "header")])
        seen[match[1]] = int(match[2])
    return seen


async def _say(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def _gone(receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
