"""One complaint that never ends costs its neighbours nothing, and its next command no more than its first: sizes are compared, no times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from redress_events.event import Event
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.limits import Limits
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.main import service
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve
from redress_spine.aggregate import Context
from redress_spine.store.engine import CommandMetadata

LONGEST = "诉" * 20_000  # 60 kB
ATTACHMENTS = tuple(f"store:photos/{n:03}-{'x' * 180}" for n in range(20))
ROW = "SELECT pg_column_size(observed) + pg_column_size(own) + pg_column_size(read) FROM state WHERE subject = $1"
WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
ANSWER, ROW_SIZE, WRITTEN = 1_000, 1_000, 16_000  # bytes
SHOWN = 512 * 1024  # bytes of an answer with everything in it


class Desk:
    """A front end; and the way in for many events at once."""

    def __init__(self, app: OverHttp) -> None:
        self.app = app
        self.owner = app.owner

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        answer = await self.app.post(path, body)
        assert answer.is_success, answer.text
        return answer

    async def get(self, path: str) -> httpx.Response:
        answer = await self.app.get(path)
        assert answer.is_success, answer.text
        return answer

    async def register(self) -> str:
        path: str = (await self.post("/complaints", {"channel": "web", "text": "没有信号"})).json()["status"]
        return path

    async def add(self, path: str, command: Any, times: int) -> None:
        """The same again and again, several events in a commit: as the decider makes them, one after the other."""
        deciders: dict[type, Any] = {Supplement: supplement, Chase: chase}
        decider = partial(deciders[type(command)], limits=Limits(10**6, 10**6))
        metadata = CommandMetadata("front-end:app", frozenset({"front-end"}), None, "trace", None)

        def several(count: int, complaint: Complaint, context: Context) -> list[Event]:
            events: list[Event] = []
            for n in range(count):
                (event,) = decider(complaint, command, context)
                number = {Supplement: "supplement", Chase: "chase"}[type(command)]
                events.append(event.model_copy(update={number: getattr(event, number) + n}))
            return events

        for start in range(0, times, 20):
            await self.app.running.engine.decide(
                f"complaint/{path.rpartition('/')[2]}", partial(several, min(20, times - start)), metadata, append=True
            )

    async def row(self, path: str) -> int:
        size: int = await self.owner.fetchval(ROW, f"complaint/{path.rpartition('/')[2]}")
        return size

    async def written(self, path: str, name: str, body: Any) -> tuple[int, int]:
        """Bytes that one more command writes, and those of its answer. The least of a few: a checkpoint makes others larger."""
        found = []
        for _ in range(4):
            before = await self.owner.fetchval(WAL)
            answer = await self.post(f"{path}/{name}", body)
            found.append((int(await self.owner.fetchval(WAL) - before), len(answer.content)))
        return min(found)


@pytest.fixture
async def desk(serve: Serve) -> Desk:
    return Desk(await serve(service, "front-end", max_words=10**6, max_attachments=10**6))


async def pages(desk: Desk, path: str, name: str) -> AsyncIterator[tuple[int, Sequence[Any]]]:
    """The bytes and the items of each page."""
    cursor = ""
    while cursor is not None:
        answer = await desk.get(f"{path}/{name}?limit=200{cursor and f'&cursor={cursor}'}")
        cursor = answer.json().get("next")
        yield len(answer.content), answer.json()["items"]


@pytest.mark.parametrize(
    ("command", "times", "name", "body"),
    [
        (Supplement(LONGEST), 100, "supplements", {"text": "And again"}),
        (Chase(), 600, "chases", None),
        (Chase("Where is it?"), 600, "chases", {"text": "Where is it?"}),
        (Supplement("See here", ATTACHMENTS), 200, "supplements", {"text": "See here", "attachments": ATTACHMENTS}),
    ],
    ids=["long supplements", "chases", "chases with words", "supplements with 20 attachments"],
)
async def test_the_next_command_is_as_small_as_the_first_and_each_answer_bounded(
    desk: Desk, command: Any, times: int, name: str, body: Any
) -> None:
    fresh, endless = await desk.register(), await desk.register()
    await desk.add(endless, command, times)
    first, later = await desk.written(fresh, name, body), await desk.written(endless, name, body)
    attached = len("".join(ATTACHMENTS)) * 2 if body and "attachments" in body else 0
    assert later[1] < ANSWER + attached and later[1] - first[1] < 50, "the answer grew"
    assert later[0] < first[0] + 1_500 < WRITTEN + 3 * attached, f"{first[0]} bytes at first, and {later[0]} after {times}"
    assert await desk.row(endless) < ROW_SIZE
    view = await desk.get(endless)
    assert len(view.content) < SHOWN
    assert view.json()["counts"][name] == times + 4
    numbers = []
    async for size, items in pages(desk, endless, "said"):
        assert size < SHOWN and (len(items) > 1 or body is None), "a page is bounded, and worth asking for"
        numbers += [item["n"] for item in items]
    assert numbers == ([] if body is None else list(range(times + 4, 0, -1)))


async def test_thirty_who_read_it_at_once_keep_nobody_else_waiting(desk: Desk) -> None:
    endless, neighbour = await desk.register(), await desk.register()
    await desk.add(endless, Supplement(LONGEST), 40)
    reading = [asyncio.create_task(desk.get(endless)) for _ in range(30)]
    for _ in range(10):
        await desk.register()
        await desk.get(neighbour)
    answers = await asyncio.gather(*reading)
    assert all(len(answer.content) < SHOWN for answer in answers)


async def test_sixty_supplements_at_once_are_all_kept_and_numbered(desk: Desk) -> None:
    path = await desk.register()
    answers = await asyncio.gather(*(desk.post(f"{path}/supplements", {"text": f"Supplement {n}"}) for n in range(60)))
    assert sorted(answer.json()["said"]["n"] for answer in answers) == list(range(1, 61))
    kept = [item["text"] async for _, items in pages(desk, path, "said") for item in items]
    assert sorted(kept) == sorted(f"Supplement {n}" for n in range(60))


async def test_a_complaint_that_is_full_says_so(serve: Serve) -> None:
    desk = Desk(await serve(service, "front-end", max_words=2))
    path = await desk.register()
    for _ in range(2):
        await desk.post(f"{path}/supplements", {"text": "More"})
    with pytest.raises(AssertionError, match="complaint-full"):
        await desk.post(f"{path}/supplements", {"text": "More"})
    await desk.post(f"{path}/chases")
