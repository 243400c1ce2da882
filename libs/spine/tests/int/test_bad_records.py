"""Whatever stands on the topic, the projector goes on: it parks one subject or sets the record aside, shows it, and redrives in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from spine_log import Author, Sent, broken, described, on_the_log, pen, rebuild, subject_of, verified
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.admin.verify import verify
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.processing import parking
from redress_spine.store.engine import Engine, Parked
from redress_spine.store.fold import Folding
from redress_spine.store.saving import save

CHASES = [ComplaintChased(chase=n) for n in range(1, 4)]


async def read_to_the_end(stack: Stack, engine: Engine) -> None:
    """Until the engine has read all that is on the topic now."""
    places = [TopicPartition(stack.prefix + LIFECYCLE, n) for n in range(stack.partitions)]
    ends = await engine._log_end.ask(places)

    async def read() -> bool:
        return all((held := engine.projector.positions.get(place)) and held.next >= ends[place] for place in places)

    await eventually(read)


async def chases(engine: Engine, *subjects: str) -> list[int]:
    return [(await engine.read(subject)).state.observed.chases for subject in subjects]


async def parked(engine: Engine) -> dict[str, tuple[str, int]]:
    return {each.subject: (each.reason, each.records) for each in await engine.parking.subjects()}


async def test_each_kind_of_bad_record_parks_its_subject_or_is_made_dead_letters_and_all_others_go_on(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    authors = {what: Author(subject_of(n)) for n, what in enumerate(("gap", "malformed", "no-value", "not-sealed", "own", "well", "away"))}
    said = {what: author.say(registered(), *CHASES) for what, author in authors.items()}
    well, stranger = authors["well"].subject.encode(), subject_of(99).encode()
    (never,) = Author(authors["own"].subject, HANDLING).say(CaseOpened(cycle=1, routing=1, department="d"))
    clear = replace(said["not-sealed"][0], value=(said["not-sealed"][0].value or b"").replace(b"sealed:1:", b"in clear "))
    home = said["well"][0].place()
    async with pen(stack) as hand:
        await hand.write(said["well"][0])
        await hand.write(said["gap"][0], *said["gap"][2:])
        await hand.write(Sent(said["malformed"][0].key, b"\x00\xff{"), Sent(said["no-value"][0].key, None), clear, never)
        await hand.write(*said["malformed"], *said["own"])
        aside = [
            Sent(None, b"x"),
            Sent(b"\xff\xfe", b"x", partition=0),
            Sent(b"complaint/not-a-uuid", said["well"][1].value),
            replace(said["well"][1], key=stranger, partition=None),
            replace(said["well"][1], partition=(home + 1) % stack.partitions),
        ]
        await hand.write(*(replace(each, partition=0) if each.key is None else each for each in aside))
        await hand.write(*said["well"][1:], *said["away"])
    await read_to_the_end(stack, handling)
    assert await chases(handling, authors["well"].subject, authors["away"].subject) == [3, 3]
    reasons = {what: (await parked(handling)).get(author.subject) for what, author in authors.items()}
    assert reasons == {
        "gap": ("gap", 2),
        "malformed": ("malformed", 5),
        "no-value": ("malformed", 1),
        "not-sealed": ("wrong-hash", 1),
        "own": ("not-in-journal", 5),
        "well": None,
        "away": None,
    }
    found = [each.reason for each in await handling.parking.dead_letters()]
    assert sorted(found) == ["key-is-not-subject", "no-subject", "no-subject", "no-subject", "wrong-partition"]
    measures = await handling.measures()
    assert (measures.parked_subjects, measures.dead_letters) == (5, 5)
    assert well not in {each.subject.encode() for each in await handling.parking.subjects()}


async def test_a_gap_is_redriven_in_order_once_the_missing_event_is_sent_and_commands_wait_for_it(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, *rest = author.say(registered(), *CHASES)
    async with pen(stack) as hand:
        await hand.write(first, *rest)
        await read_to_the_end(stack, handling)
        answer = await handling.parking.redrive(author.subject)
        assert (answer.folded, answer.left, answer.reason) == (0, 2, "gap")
        opened = CaseOpened(cycle=1, routing=1, department="d")
        with pytest.raises(Parked):
            await handling.decide(author.subject, lambda toy, context: [opened], metadata())
        seen, _ = await handling.decide(author.subject, lambda toy, context: [opened], metadata(), while_parked=True)
        assert seen.parked and seen.state.own.opened == 1
        await hand.write(second)
        await read_to_the_end(stack, handling)
        assert await chases(handling, author.subject) == [0]
        answer = await handling.parking.redrive(author.subject)
        assert (answer.folded, answer.left) == (3, 0)
        assert await chases(handling, author.subject) == [3] and await parked(handling) == {}
        await hand.write(*author.say(ComplaintChased(chase=4)))
        await read_to_the_end(stack, handling)
    assert await chases(handling, author.subject) == [4]
    assert (await handling.read(author.subject)).state.own.opened == 1
    await verified(stack, "handling")


async def test_thousands_of_parked_records_are_redriven_some_at_a_time_and_from_there_on_after_a_failure(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 2_300
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, *rest = author.say(registered(), *(ComplaintChased(chase=n, text="and now?") for n in range(1, many + 1)))
    sizes: list[int] = []

    async def counted(connection: Any, foldings: list[Folding]) -> None:
        sizes.append(sum(len(each.entries) for each in foldings))
        if len(sizes) == 3:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await save(connection, foldings)

    async with pen(stack) as hand:
        for each in (first, *rest, second):  # what closes the gap comes last
            await hand.producer.send(
                hand.prefix + LIFECYCLE, each.value, each.key, each.place(), headers=each.headers_on(hand.prefix + LIFECYCLE)
            )
        await hand.producer.flush()
        await read_to_the_end(stack, handling)
    owner = await stack.connect("handling", owner=True)
    assert await owner.fetchval("SELECT count(*) FROM parked") == many
    monkeypatch.setattr(parking, "save", counted)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await handling.parking.redrive(author.subject)
    assert await chases(handling, author.subject) == [2 * parking.STEP]
    assert await owner.fetchval("SELECT count(*) FROM parked") == many - 2 * parking.STEP
    await verified_but_parked(stack)
    answer = await handling.parking.redrive(author.subject)
    assert (answer.folded, answer.left) == (many - 2 * parking.STEP, 0) and max(sizes) == parking.STEP and len(sizes) == 6
    assert await chases(handling, author.subject) == [many] and await parked(handling) == {}
    await owner.close()
    await verified(stack, "handling")


async def verified_but_parked(stack: Stack) -> None:
    """What a redrive left half done is the fold of what it took, and all that differs is that it could go on."""
    report = await verify(described(stack, "handling"), (await stack.database("handling")).app_dsn, stack.kafka)
    assert [each.what for each in report.differences if "which can be folded" not in each.what] == [] and report.parked == 1


async def test_skipping_passes_one_record_after_the_other_and_the_chain_goes_on(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, third, fourth = author.say(registered(), *CHASES)
    bad = Sent(first.key, b"not JSON")
    async with pen(stack) as hand:
        await hand.write(first, bad, replace(bad, value=b"[]"), second, third)
        await read_to_the_end(stack, handling)
        assert (await parked(handling))[author.subject] == ("malformed", 4)
        answer = await handling.parking.skip(author.subject, "ops:bob", "somebody tried out a producer")
        assert (answer.folded, answer.left, answer.reason) == (1, 3, "malformed") and await chases(handling, author.subject) == [0]
        answer = await handling.parking.skip(author.subject, "ops:bob", "the same")
        assert (answer.folded, answer.left) == (3, 0)
        await hand.write(fourth)
        await read_to_the_end(stack, handling)
    assert await chases(handling, author.subject) == [3] and await parked(handling) == {}
    await verified(stack, "handling")
    connection = await stack.connect("handling")
    assert [tuple(row) for row in await connection.fetch('SELECT who, why FROM skips ORDER BY "offset"')] == [
        ("ops:bob", "somebody tried out a producer"),
        ("ops:bob", "the same"),
    ]
    await connection.close()


async def test_a_relay_that_starts_from_zero_sends_all_again_and_no_state_moves(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(6)]

    async def sent(times: int) -> bool:
        records = [record.key.decode() for record in await on_the_log(stack, LIFECYCLE, stack.partitions)]
        return all(records.count(subject) == times + 1 for subject in subjects)  # and handling's own CaseOpened

    await eventually(lambda: sent(1))
    await stack.stop(intake)
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")
    await owner.close()
    before = [await handling.read(subject) for subject in subjects]
    intake = await stack.engine("intake")
    await eventually(lambda: sent(2))
    for engine in (intake, handling):
        await read_to_the_end(stack, engine)
        assert await parked(engine) == {} and await engine.parking.dead_letters() == []
    assert [await handling.read(subject) for subject in subjects] == before


async def test_records_that_the_client_cannot_take_apart_are_made_dead_letters_and_what_follows_is_folded(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, *rest = author.say(registered(), *CHASES)
    async with pen(stack) as hand:
        await hand.write(first)
        await broken(hand, first.place(), [first.key or b""] * 3)
        await hand.write(*rest)
        await read_to_the_end(stack, handling)
        assert await chases(handling, author.subject) == [3]
        assert [each.reason for each in await handling.parking.dead_letters()] == ["unreadable"] * 3
        await verified(stack, "handling")
        await hand.write(*author.say(ComplaintChased(chase=4)))
        await read_to_the_end(stack, handling)
    assert await chases(handling, author.subject) == [4]


async def test_what_the_database_does_not_take_parks_its_subject_alone_and_is_redriven_once_it_does(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute(
        "ALTER TABLE state ADD COLUMN x int GENERATED ALWAYS AS (1 / (coalesce((observed->>'chases')::int, 0) < 2)::int) STORED"
    )
    handling = await stack.engine("handling", automations=[])
    bad, good = Author(subject_of(1)), [Author(subject_of(n)) for n in range(2, 12)]
    async with pen(stack) as hand:
        for author in (bad, *good):
            await hand.write(*author.say(registered()))
        await hand.write(*bad.say(*CHASES))
        for author in good:
            await hand.write(*author.say(ComplaintChased(chase=1)))
        await read_to_the_end(stack, handling)
    assert await parked(handling) == {bad.subject: ("not-stored", 2)} and await chases(handling, bad.subject) == [1]
    assert await chases(handling, *(author.subject for author in good)) == [1] * 10
    answer = await handling.parking.redrive(bad.subject)
    assert (answer.folded, answer.left, answer.reason) == (0, 2, "not-stored")
    await owner.execute("ALTER TABLE state DROP COLUMN x")
    answer = await handling.parking.redrive(bad.subject)
    assert (answer.folded, answer.left) == (2, 0) and await chases(handling, bad.subject) == [3]
    await verified(stack, "handling")
    await owner.close()


async def test_the_end_of_somebodys_transaction_counts_as_read(stack: Stack, tmp_path: Path) -> None:
    author = Author(subject_of(1))
    handling = await stack.engine("handling", automations=[])
    async with pen(stack) as hand:
        await hand.write(*author.say(registered()))
    stranger = KafkaClients.of(stack.kafka).producer(transactional_id=stack.prefix + "stranger")
    await stranger.start()
    try:
        for wanted in (stranger.commit_transaction, stranger.abort_transaction):
            await stranger.begin_transaction()
            for n in range(stack.partitions):
                await stranger.send_and_wait(stack.prefix + LIFECYCLE, b"theirs", partition=n)
            await stranger.send_and_wait(stack.prefix + KEYS, b"theirs", key=b"theirs", partition=0)
            await wanted()
    finally:
        await stranger.stop()
    async with pen(stack) as hand:
        await hand.write(*author.say(ComplaintChased(chase=1)))
    await read_to_the_end(stack, handling)
    assert await chases(handling, author.subject) == [1]
    await eventually(lambda: nothing_unread(handling))
    await stack.stop(handling)
    async with asyncio.timeout(30):
        await rebuild(stack, "handling", tmp_path)
        await verified(stack, "handling")
    again = await stack.engine("handling", automations=[])
    await eventually(lambda: nothing_unread(again))
    assert await chases(again, author.subject) == [1]


async def nothing_unread(engine: Engine) -> bool:
    return (await engine.idle()).lag == 0 and (await engine.health()).ready
