"""What happens once in a system's life: its consumer group is deleted, an event is as large as one may be, two releases run side by
side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.protocol.admin import DeleteGroupsRequest
from spine_log import Author, Sent, pen, rebuild, subject_of, verified
from spine_stack import Stack, engine_of, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store.commit import LARGEST_EVENT, EventTooLarge
from redress_spine.store.engine import Engine, Unavailable
from redress_spine.store.errors import Conflict


async def register(intake: Engine, key: str, text: str = "no signal") -> str:
    return (await intake.create("complaint", lambda context: [registered(text)], metadata(key)))[0].subject


async def all_opened(intake: Engine, subjects: list[str]) -> bool:
    return [(await intake.read(subject)).state.observed.opened for subject in subjects] == [1] * len(subjects)


async def deleted(kafka: KafkaClients | str, group: str) -> bool:
    """Delete a consumer group; Kafka refuses while it has a member. aiokafka has the request, but no method that sends it."""
    admin, client = KafkaClients.of(kafka).admin(), KafkaClients.of(kafka).client()
    await admin.start()
    await client.bootstrap()
    try:
        answer = await client.send(await admin.find_coordinator(group), DeleteGroupsRequest([group]))
        return [code for _, code in answer.results] == [0]
    finally:
        await client.close()
        await admin.close()


async def test_a_deleted_consumer_group_loses_nothing_for_the_offsets_are_in_postgresql(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [await register(intake, f"before-{n}") for n in range(10)]
    await eventually(lambda: all_opened(intake, subjects))
    await stack.stop(handling)
    subjects += [await register(intake, f"meanwhile-{n}") for n in range(10)]
    await eventually(lambda: deleted(stack.kafka, f"{stack.prefix}redress-handling"))
    await stack.engine("handling")
    await eventually(lambda: all_opened(intake, subjects))
    for source in ("intake", "handling"):
        assert (await verified(stack, source)).duplicates == 0


async def test_the_largest_event_goes_its_way_and_a_larger_one_is_refused_at_the_door(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    largest = "x" * (LARGEST_EVENT * 3 // 4 - 1_500)  # sealed it is a third longer, and it has an envelope
    subject = await register(intake, "large", largest)
    with pytest.raises(EventTooLarge):
        await register(intake, "too-large", "x" * (LARGEST_EVENT * 3 // 4))
    neighbours = [await register(intake, f"neighbour-{n}") for n in range(5)]
    await eventually(lambda: all_opened(intake, [subject, *neighbours]))
    assert await handling.open(subject, ["intake/1/text"]) == {"intake/1/text": largest}
    assert (await verified(stack, "handling")).states == 6


async def test_a_foreign_record_of_900_kb_parks_its_own_complaint_and_holds_up_nobody(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    large = Author(subject_of(1)).say(registered("x" * 1_000))
    broken = Sent(large[0].key, b"{" + b" " * 900_000, large[0].headers)
    async with pen(stack) as writer:
        await writer.write(*[broken] * 3)
    subjects = [await register(intake, f"k{n}") for n in range(10)]
    await eventually(lambda: all_opened(intake, subjects))

    async def parked() -> bool:
        return [(each.subject, each.records) for each in (await handling.parked())[0]] == [(subject_of(1), 3)]

    await eventually(parked)


async def test_two_releases_side_by_side_under_traffic_lose_no_command_that_was_answered(stack: Stack, tmp_path: Path) -> None:
    """The new release rebuilds beside the old one, which serves until the swap, and refuses afterwards; a front end repeats elsewhere."""
    old, handling = await stack.engine("intake"), await stack.engine("handling")
    made = await stack.database("intake")
    subjects = [await register(old, f"k{n}") for n in range(20)]
    said, refused, ended = dict.fromkeys(subjects, 0), 0, asyncio.Event()
    releases = [old]

    async def customer(mine: list[str]) -> None:
        nonlocal refused
        while not ended.is_set():
            for subject in mine:
                for release in releases:
                    try:
                        await release.decide(subject, lambda toy, _: [ComplaintChased(chase=toy.own.chases + 1)], metadata())
                    except (Unavailable, Conflict):
                        refused += 1
                        continue
                    said[subject] += 1
                    break
            await asyncio.sleep(0)

    customers = [asyncio.create_task(customer(subjects[n::4])) for n in range(4)]
    await rebuild(stack, "intake", tmp_path, fold=2)
    new = engine_of("intake", made.app_dsn, stack.kafka, stack.prefix, stack.partitions, fold=2)
    await new.start()
    stack.engines.append(new)
    releases.append(new)
    before = sum(said.values())

    async def goes_on() -> bool:
        return sum(said.values()) > before + 100

    await eventually(goes_on)
    assert refused > 0, "the old release never refused: it went on with a state that is not its own"
    with pytest.raises(Unavailable, match="fold 2"):
        await old.read(subjects[0])
    assert not (await old.health()).ready and (await new.health()).ready
    ended.set()
    await asyncio.gather(*customers)
    await stack.stop(old)

    async def observed() -> bool:
        return [(await handling.read(subject)).state.observed.chases for subject in subjects] == list(said.values())

    await eventually(observed)
    assert [(await new.read(subject)).state.own.chases for subject in subjects] == list(said.values())
    await verified(stack, "intake")
