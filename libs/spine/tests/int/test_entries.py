"""What grows with a subject's history is rows of its own: a page of them is bounded by number and by bytes, and the state stays small."""

from __future__ import annotations

from typing import Any

from spine_log import Author, pen
from spine_stack import Stack, Toy, eventually, metadata, registered

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_spine.aggregate import Context
from redress_spine.store.engine import Engine
from redress_spine.store.entries import BEGINNING

TEXT = "still nothing " * 700  # some 10 kB
SIZES = "SELECT pg_column_size(observed) + pg_column_size(own) + pg_column_size(read) AS state FROM state WHERE subject = $1"


async def chase(engine: Engine, subject: str, text: str | None) -> None:
    await engine.decide(subject, lambda toy, _: [ComplaintChased(chase=toy.own.chases + 1, text=text)], metadata(), append=True)


async def all_of(engine: Engine, subject: str, **bounds: Any) -> list[list[Any]]:
    """The whole list, page by page."""
    pages, after = [], BEGINNING
    while True:
        page = (await engine.entries(subject, ["history"], after=after, **bounds))["history"]
        pages.append([entry.data for entry in page.entries])
        if not page.more:
            return pages
        after = page.entries[-1].place


async def test_a_page_ends_at_its_limit_or_with_the_entry_that_fills_it_and_the_next_goes_on_there(stack: Stack) -> None:
    intake = await stack.engine("intake")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("new"))
    for n in range(25):
        await chase(intake, seen.subject, TEXT if n % 5 else "short")
    newest = [{"chase": n, "words": f"intake/{n + 1}/text"} for n in range(25, 0, -1)]
    for bounds, least in (({"limit": 7}, 4), ({"limit": 100}, 1), ({"limit": 100, "most": 30_000}, 5), ({"limit": 100, "most": 1}, 25)):
        pages = await all_of(intake, seen.subject, **bounds)
        assert [entry for page in pages for entry in page] == newest and len(pages) >= least, bounds
    first = (await all_of(intake, seen.subject, limit=100, most=30_000))[0]
    opened = await intake.open(seen.subject, [entry["words"] for entry in first])
    assert 30_000 - 28 * len(first) < sum(len(text) for text in opened.values()) < 30_000 + len(TEXT)
    assert await intake.entries(seen.subject, ["history", "none"], limit=1) == {
        "history": (await intake.entries(seen.subject, ["history"], limit=1))["history"],
        "none": (await intake.entries(seen.subject, ["none"], limit=1))["none"],
    }
    assert not (await intake.entries(seen.subject, ["none"], limit=1))["none"].entries


async def test_entries_stand_by_their_time_whichever_service_said_them_and_in_whatever_order_they_came(stack: Stack) -> None:
    intake = await stack.engine("intake")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("new"))
    async with pen(stack) as hand:
        await hand.write(*Author(seen.subject, HANDLING).say(CaseOpened(cycle=1, routing=1, department="long ago")))

    async def observed() -> bool:
        return bool((await intake.read(seen.subject)).state.observed.opened == 1)

    await chase(intake, seen.subject, "now")
    await eventually(observed)
    (page,) = await all_of(intake, seen.subject, limit=10)
    assert [entry.get("department") or entry["chase"] for entry in page] == [1, "long ago"]


async def test_two_thousand_events_of_two_services_later_a_row_is_as_small_as_ever(stack: Stack) -> None:
    """Sizes, not times: what the next command and the next projection write is the row, one event and one entry."""
    intake, callback = await stack.engine("intake"), await stack.engine("callback")
    seen, _ = await intake.create("complaint", lambda context: [registered()], metadata("new"))
    author = Author(seen.subject, HANDLING)

    def ten(toy: Toy, context: Context) -> list[Event]:
        return [ComplaintChased(chase=toy.own.chases + n, text="Still nothing." if n % 2 else None) for n in range(1, 11)]

    async with pen(stack) as hand:
        for _ in range(100):
            await intake.decide(seen.subject, ten, metadata(), append=True)
            await hand.write(*author.say(*[CaseOpened(cycle=1, routing=1, department="d")] * 10))

    async def observed() -> bool:
        ours, theirs = await intake.read(seen.subject), await callback.read(seen.subject)
        return bool(ours.state.observed.opened == 1_000 and theirs.state.observed.chases == 1_000)

    await eventually(observed)
    for source, entries in (("intake", 1_500), ("callback", 500)):
        connection = await stack.connect(source)
        assert await connection.fetchval("SELECT count(*) FROM entries") == entries
        assert await connection.fetchval(SIZES, seen.subject) < 2_000, source
        await connection.close()
