"""Whoever cannot reach Kafka reads the log through a service: each event once, page by page, without a customer's words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from spine_log import Author, pen, subject_of
from spine_stack import AT, Stack, eventually, registered

from redress_events.contracts.intake import ComplaintChased, ComplaintSupplemented
from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.processing.clock import wall_clock
from redress_spine.store.engine import Engine, LogPage, NoSuchPlace, Unavailable

LONG_AGO = AT.replace(year=1970)


def ids(page: LogPage) -> list[str]:
    return [each["id"] for each in page.events]


async def all_of(engine: Engine, subject: str | None, limit: int) -> tuple[list[str], list[LogPage]]:
    pages = [await engine.log(None, LONG_AGO, subject, limit, 0)]
    while not pages[-1].at_end:
        pages.append(await engine.log(pages[-1].next, None, subject, limit, 0))
    return [each for page in pages for each in ids(page)], pages


async def test_each_event_is_shown_once_without_words_and_what_proves_no_source_is_named(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    authors = [Author(subject_of(n)) for n in range(1, 6)]
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered(), ComplaintSupplemented(supplement=1, text="I was born on 1 May."), at=AT))
        forged = replace(authors[0].say(ComplaintChased(chase=1))[0], signed=False)
        await hand.write(forged)
    wanted = {f"{author.subject}/intake/{n}" for author in authors for n in (1, 2)}
    found, pages = await all_of(handling, None, 3)
    assert sorted(found) == sorted(wanted) and len(pages) > 3
    assert [each["topic"] for page in pages for each in page.unproved] == [stack.prefix + LIFECYCLE]
    told = str([page.events for page in pages])
    assert "born" not in told and "sealed: sealed:1:" in told

    one = authors[0].subject
    assert (await all_of(handling, one, 1))[0] == [f"{one}/intake/1", f"{one}/intake/2"], "in the order of the log"
    with pytest.raises(NoSuchPlace):
        await handling.log(pages[0].next, None, one, 1, 0)
    far = await handling.log([10**18 - 1] * stack.partitions, None, None, 1, 0)
    assert (far.events, far.at_end) == ([], True), "who asks beyond the end has read it"


async def test_who_waits_is_shown_what_comes_and_a_time_is_where_it_begins(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    async with pen(stack) as hand:
        await hand.write(first)
        now = await handling.log(None, None, None, 10, 0)
        assert (now.events, now.at_end) == ([], True)
        waiting = asyncio.create_task(handling.log(now.next, None, None, 10, 120))
        await asyncio.sleep(0.5)
        await hand.write(second)
        assert ids(await asyncio.wait_for(waiting, 110)) == [f"{author.subject}/intake/2"], "it does not wait on once there is one"
    assert (await handling.log(None, wall_clock() + timedelta(days=1), None, 10, 0)).events == []


async def test_without_kafka_nothing_is_read_and_a_server_is_seen_to_be_away_and_back(own_stack: Stack, own_kafka: Kafka) -> None:
    handling = await own_stack.engine("handling", automations=[])
    await eventually(lambda: seen(handling, kafka=True))
    await asyncio.to_thread(own_kafka.kill)
    await eventually(lambda: seen(handling, kafka=False))
    health = await handling.health()
    assert (health.servers["kafka"].seconds, health.servers["postgresql"].up) == (None, True)
    assert [each.partition(":")[0] for each in health.cannot] == ["Kafka does not answer"]
    with pytest.raises(Unavailable, match="Kafka does not let handling read the log now"):
        await handling.log(None, None, None, 1, 0)
    await asyncio.to_thread(own_kafka.start)
    await eventually(lambda: seen(handling, kafka=True))
    assert (await handling.health()).cannot == []


async def test_a_database_that_does_not_answer_is_said_before_the_question_has_ended(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    await eventually(lambda: seen(handling, kafka=True))
    owner = await stack.connect("handling", owner=True)
    async with owner.transaction():
        await owner.execute("LOCK TABLE public.live IN ACCESS EXCLUSIVE MODE")  # who asks how we are waits, and Kafka answers
        health = await handling.health()
        assert (health.ready, health.servers["postgresql"].up, health.servers["kafka"].up) == (False, False, True)
        assert [each.partition(":")[0] for each in health.cannot] == ["The database does not answer"]
        assert handling.servers()["postgresql"].seconds is None
    await owner.close()

    async def back() -> bool:
        return (await handling.health()).servers["postgresql"].up

    await eventually(back)


async def seen(engine: Engine, *, kafka: bool) -> bool:
    up = engine.servers()["kafka"]
    return up.up is kafka and (up.seconds is not None) is kafka
