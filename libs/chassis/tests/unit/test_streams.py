"""Streams by themselves: what is left of one once it has ended, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.types import Message, Scope

from redress_chassis import Problem
from redress_chassis.api import streams
from redress_chassis.api.streams import MOST_OF_ONE, EventStream, Streams
from redress_chassis.edge.problems import not_found
from redress_chassis.edge.request_context import PLACE, RequestContext
from redress_chassis.edge.trace import continued

SUBJECT = "note/1"


class NoteView(BaseModel):
    n: int


class Notes:
    """An engine that knows so many events of a note. asked: what happens when they are asked for."""

    def __init__(self) -> None:
        self.known = 1
        self.asked: Callable[[], Awaitable[None]] | None = None

    async def revisions(self, subjects: list[str]) -> dict[str, int]:
        return dict.fromkeys(subjects, self.known)

    async def unseen(self, subject: str, name: str, seen: dict[str, int], *, limit: int) -> tuple[list[int], dict[str, int]]:
        if self.asked is not None:
            await self.asked()
        return [*range(seen.get("jar", 0) + 1, self.known + 1)], {"jar": self.known}


class Reader:
    """Who follows, as the server sees them."""

    def __init__(self, notes: Notes, method: str = "GET") -> None:
        self.of = Streams(lambda: notes)  # type: ignore[arg-type, return-value]
        self.context = RequestContext(method, "/notes/1/stream", continued(""), {})
        app = SimpleNamespace(state=SimpleNamespace(serving=SimpleNamespace(streams=self.of, engine=notes)))
        self.scope: Scope = {"type": "http", "app": app, PLACE: self.context}
        self.sent: list[Message] = []
        self.said, self.left = asyncio.Event(), asyncio.Event()
        self.allowed = True

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.said.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def may(self) -> None:
        if not self.allowed:
            raise not_found()

    def follow(self, seen: dict[str, int] | None = None) -> asyncio.Task[None]:
        view: Any = lambda n: NoteView(n=n)  # noqa: E731
        stream = EventStream(SUBJECT, "notes", "alice", seen or {}, event="note", view=view, allowed=self.may)
        return asyncio.create_task(stream(self.scope, self.receive, self.send), name="follow")

    async def told(self, what: str) -> None:
        async with asyncio.timeout(60):
            while what not in b"".join(each.get("body", b"") for each in self.sent).decode():
                self.said.clear()
                await self.said.wait()


async def nothing_is_left(reader: Reader) -> None:
    still_there = [task for task in asyncio.all_tasks() if task.get_name().startswith("stream")]
    if still_there:
        _, going_on = await asyncio.wait(still_there, timeout=60)
        assert not going_on
    assert not reader.of._followers and not reader.of._of and reader.of._looking is None


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EVERY", 0.01)


async def test_who_leaves_is_followed_by_nobody() -> None:
    notes = Notes()
    reader = Reader(notes)
    following = reader.follow()
    await reader.told("id: jar:1")
    notes.known = 2
    await reader.told("id: jar:2")
    reader.left.set()
    await asyncio.wait_for(following, 60)
    await nothing_is_left(reader)


async def test_who_leaves_while_the_news_is_read_leaves_nothing() -> None:
    notes, asked, go_on = Notes(), asyncio.Event(), asyncio.Event()
    reader = Reader(notes)
    following = reader.follow()
    await reader.told("id: jar:1")

    async def slowly() -> None:
        asked.set()
        await go_on.wait()

    notes.asked, notes.known = slowly, 2
    await asyncio.wait_for(asked.wait(), 60)
    reader.left.set()
    go_on.set()
    await asyncio.wait_for(following, 60)
    await nothing_is_left(reader)


@pytest.mark.parametrize("begun", [False, True])
async def test_an_error_and_an_end_from_outside_leave_nothing(begun: bool) -> None:
    notes = Notes()
    reader = Reader(notes)

    async def broken() -> None:
        raise LookupError

    if not begun:
        notes.asked = broken
    following = reader.follow()
    if begun:
        await reader.told("id: jar:1")
        notes.asked, notes.known = broken, 2
    with pytest.raises(LookupError):
        await asyncio.wait_for(following, 60)
    assert bool(reader.sent) is begun
    await nothing_is_left(reader)
    notes.asked, notes.known = None, 2
    following = reader.follow({"jar": 1})
    await reader.told("id: jar:2")
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await nothing_is_left(reader)


async def test_it_ends_whole_once_the_caller_may_no_longer_see_the_subject() -> None:
    notes = Notes()
    reader = Reader(notes)
    following = reader.follow()
    await reader.told("id: jar:1")
    reader.allowed, notes.known = False, 2
    await asyncio.wait_for(following, 60)
    assert reader.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert "jar:2" not in str(reader.sent) and reader.context.code == "not-found"
    await nothing_is_left(reader)


async def test_a_head_request_follows_nothing() -> None:
    """It would keep the connection for a quarter of an hour."""
    reader = Reader(Notes(), "HEAD")
    await asyncio.wait_for(reader.follow(), 60)
    assert [each["type"] for each in reader.sent] == ["http.response.start", "http.response.body"] and reader.sent[0]["status"] == 200
    await nothing_is_left(reader)


async def test_one_caller_does_not_take_all_places() -> None:
    reader = Reader(Notes())
    open_ones = [reader.of.following(SUBJECT, "alice") for _ in range(MOST_OF_ONE)]
    for each in open_ones:
        each.__enter__()
    with pytest.raises(Problem) as refused, reader.of.following(SUBJECT, "alice"):
        pass
    assert refused.value.status == 429
    with reader.of.following(SUBJECT, "bob"):
        pass
    for each in open_ones:
        each.__exit__(None, None, None)
    await nothing_is_left(reader)
