"""No sealed event is on the log before its key is on the keys' topic, whatever breaks between the two; a destroyed key stays destroyed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest
from spine_log import Sent, on_the_log, pen, subject_of
from spine_stack import MAC, Stack, eventually, metadata, opened, registered

from redress_events.contracts.handling import ProgressReported
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.store.engine import Engine, Forgotten
from redress_spine.store.vault import MAKER, PROOF

Records = Sequence[tuple[str, int, bytes, bytes | None, list[tuple[str, bytes]]]]


def at_the_boundary(engine: Engine, around: Callable[[str, Records, Callable[[], Awaitable[None]]], Awaitable[None]]) -> None:
    """Puts `around(topic, records, send)` where the relay hands its records to Kafka."""
    real = engine.relay._send

    async def send(made: Iterable[Any]) -> None:
        records = list(made)
        await around(records[0][0], records, lambda: real(records))

    engine.relay._send = send  # type: ignore[assignment]


async def watched(stack: Stack, topic: str, records: Records) -> None:
    """Before events go out, the keys of all of them are on their topic."""
    if topic.endswith(LIFECYCLE):
        keys = {record.key for record in await on_the_log(stack, KEYS, 1)}
        assert {key for _, _, key, _, _ in records} <= keys, "a sealed event would be on the log before its key"


async def events_on_the_log(stack: Stack) -> list[Any]:
    return await on_the_log(stack, LIFECYCLE, stack.partitions)


@pytest.mark.parametrize("broken", [KEYS, LIFECYCLE])
@pytest.mark.parametrize("lost", ["the records", "the acknowledgement"])
async def test_the_key_is_there_first_though_sending_fails(stack: Stack, broken: str, lost: str) -> None:
    intake = await stack.engine("intake")
    failures = [2]
    seen_wrong: list[BaseException] = []

    async def around(topic: str, records: Records, send: Callable[[], Awaitable[None]]) -> None:
        try:
            await watched(stack, topic, records)
        except AssertionError as error:
            seen_wrong.append(error)
        if topic.endswith(broken) and failures[0]:
            failures[0] -= 1
            if lost == "the acknowledgement":
                await send()
            raise ConnectionError("injected")
        await send()

    at_the_boundary(intake, around)
    subjects = {(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(5)}

    async def arrived() -> bool:
        return {record.key.decode() for record in await events_on_the_log(stack)} == subjects and not failures[0]

    await eventually(arrived)
    assert not seen_wrong
    connection = await stack.connect("intake")

    async def acknowledged() -> bool:
        return not await connection.fetchval("SELECT count(*) FROM keys WHERE NOT acknowledged")

    await eventually(acknowledged)
    await connection.close()


async def test_the_relay_dies_between_key_and_event_and_another_one_ships_the_event(stack: Stack) -> None:
    intake = await stack.engine("intake")
    dying: asyncio.Event = asyncio.Event()

    async def die(topic: str, records: Records, send: Callable[[], Awaitable[None]]) -> None:
        if topic.endswith(LIFECYCLE):
            dying.set()
            await asyncio.Future()  # never goes on: the process ends here
        await send()

    at_the_boundary(intake, die)
    seen, _ = await intake.create("complaint", lambda context: [registered("它坏了")], metadata("k"))
    await asyncio.wait_for(dying.wait(), 20)
    await stack.stop(intake)
    assert [record.key.decode() for record in await on_the_log(stack, KEYS, 1)] == [seen.subject]
    assert await events_on_the_log(stack) == []
    await stack.engine("intake")
    handling = await stack.engine("handling")

    async def opens() -> bool:
        return await opened(handling, seen.subject, "intake/1/text") == {"intake/1/text": "它坏了"}

    await eventually(opens)
    assert len(await events_on_the_log(stack)) >= 1


async def test_a_destroyed_key_opens_and_seals_nothing_on_any_replica_and_no_later_record_brings_it_back(stack: Stack) -> None:
    intake, one, two = await stack.engine("intake"), await stack.engine("handling"), await stack.engine("handling")
    seen, _ = await intake.create("complaint", lambda context: [registered("secret")], metadata("k"))
    ref, another = "intake/1/text", MAC.prove_destroyed(MAKER, subject_of(1))

    async def opens() -> bool:
        return all([await opened(each, seen.subject, ref) == {ref: "secret"} for each in (one, two)])

    await eventually(opens)
    (key,) = await on_the_log(stack, KEYS, 1)
    connection = await stack.connect("handling")

    async def read_keys(upto: int) -> bool:
        return bool(await connection.fetchval("SELECT next > $1 FROM consumer_offsets WHERE topic = $2", upto, stack.prefix + KEYS))

    async with pen(stack) as hand:
        foreign = Sent(key.key, bytes(60))
        (last,) = (await hand.write(foreign, Sent(b"not a subject", key.value), topic=KEYS))[1:]
        await eventually(lambda: read_keys(last))
        assert {each.reason for each in await one.parking.dead_letters()} == {"not-our-key", "no-subject"}
        assert await opens()
        forged = [Sent(key.key, None), Sent(key.key, None, [(PROOF, bytes(32))]), Sent(key.key, None, [(PROOF, another)])]
        last = (await hand.write(*forged, topic=KEYS))[-1]
        await eventually(lambda: read_keys(last))
        assert sorted(each.reason for each in await one.parking.dead_letters()) == ["no-subject", "not-our-key", *["not-proved"] * 3]
        assert await opens(), "a tombstone without a proof destroyed a key"
        true = Sent(key.key, None, [(PROOF, MAC.prove_destroyed(MAKER, seen.subject))])
        last = (await hand.write(true, Sent(key.key, key.value), topic=KEYS))[-1]
        await eventually(lambda: read_keys(last))
    for engine in (one, two):
        assert await engine.open(seen.subject, [ref]) == {}
        with pytest.raises(Forgotten):
            await engine.decide(seen.subject, lambda toy, context: [ProgressReported(cycle=1, note="for the customer")], metadata())
    assert await connection.fetchval("SELECT destroyed AND wrapped IS NULL AND proof IS NOT NULL FROM keys")
    await connection.close()
