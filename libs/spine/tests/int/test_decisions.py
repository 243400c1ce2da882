"""One decision of an operator is about a record's content: it holds for its copies, in each service, and through a rebuild.

Long, for all are told with the same few broken records.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from spine_log import Author, Sent, described, pen, rebuild, states, subject_of, verified
from spine_stack import HANDLING_AGGREGATE, MAC, Stack, eventually, registered

from redress_events.contracts import CONTRACTS, HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.messaging.envelope import chain
from redress_spine.messaging.records import Reader
from redress_spine.processing.parking import DeadLetterEntry, ParkedSubject, SkippedRecord
from redress_spine.store.engine import Engine
from redress_spine.store.vault import Vault

CHASES = [ComplaintChased(chase=n) for n in range(1, 4)]
OTHERS = ("triage", "handling", "sla-monitor", "callback")
BY = "ops:bob", "a producer was tried out"


async def read_to_the_end(engine: Engine) -> None:
    async def read() -> bool:
        await engine.watch.ask()
        return (await engine.measures()).lag_records == 0

    for _ in range(2):
        await eventually(read)


def named(one: ParkedSubject | DeadLetterEntry) -> SkippedRecord:
    return SkippedRecord(one.topic, one.partition, one.offset, bytes.fromhex(one.content), bytes.fromhex(one.hash), one.event)


async def held(engine: Engine) -> tuple[list[str], list[str]]:
    """Why subjects are parked, and records set aside."""
    parked, aside = await engine.parked()
    return [each.reason for each in parked], [each.reason for each in aside]


async def chases(engine: Engine, subject: str) -> int:
    return int((await engine.read(subject)).state.observed.chases)


async def rebuilt(stack: Stack, source: str, folder: Path) -> None:
    """The state made anew is the same, and what was set aside too."""
    before, aside = await states(stack, source), await dead_letters(stack, source)
    await verified(stack, source)
    (empty := folder / source).mkdir(exist_ok=True)
    await rebuild(stack, source, empty)
    assert (await states(stack, source), await dead_letters(stack, source)) == (before, aside)
    await verified(stack, source)


async def dead_letters(stack: Stack, source: str) -> list[tuple[Any, ...]]:
    connection = await stack.connect(source, owner=True)
    live = await connection.fetchval("SELECT schema FROM live")
    rows = await connection.fetch(f'SELECT topic, partition, "offset", reason, content FROM {live}.dead_letters ORDER BY 1, 2, 3')
    await connection.close()
    return [tuple(row) for row in rows]


async def test_three_copies_are_passed_over_by_one_decision_in_each_service_and_a_fourth_that_comes_later(
    stack: Stack, tmp_path: Path
) -> None:
    engines = [await stack.engine(source, automations=[]) for source in OTHERS]
    author = Author(subject_of(1))
    first, second, third, fourth = author.say(registered(), *CHASES)
    bad = replace(second, value=(second.value or b"")[:-30])
    async with pen(stack) as hand:
        await hand.write(first, bad, bad, second, bad, third)
        for engine in engines:
            await read_to_the_end(engine)
            assert await held(engine) == (["malformed"], [])
        (one,) = await engines[0].parking.subjects()
        for engine in engines:
            own = await engine.pass_over([named(one)], *BY)
            assert (own.taken, own.settled, own.left) == (1, 5, 0)
            assert (await engine.pass_over([named(one)], "ops:eve", "the same again")).settled == 0
        await hand.write(bad, fourth)
    for engine in engines:
        await read_to_the_end(engine)
        assert await held(engine) == ([], [])
        assert await chases(engine, author.subject) == 3
        await rebuilt(stack, engine.source, tmp_path)
    connection = await stack.connect("callback")
    assert [tuple(row) for row in await connection.fetch("SELECT who, why FROM skips")] == [BY]
    await connection.close()


async def test_the_true_record_is_no_copy_of_one_with_another_chain_or_in_another_partition(stack: Stack, tmp_path: Path) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, third, fourth = author.say(registered(), *CHASES)
    strange = [replace(second, headers=[]), replace(third, partition=(third.place() + 1) % stack.partitions)]
    async with pen(stack) as hand:
        await hand.write(first, *strange)
        await read_to_the_end(handling)
        assert await held(handling) == (["no-chain"], ["wrong-partition"])
        parked, aside = await handling.parked()
        own = await handling.pass_over([named(parked[0]), named(aside[0])], *BY)
        assert (own.taken, own.settled) == (2, 2)
        await hand.write(second, third, fourth, *strange)
    await read_to_the_end(handling)
    assert await held(handling) == ([], [])
    assert await chases(handling, author.subject) == 3
    await rebuilt(stack, "handling", tmp_path)


async def test_who_has_not_read_an_event_takes_no_decision_on_it_and_who_folded_it_keeps_it(stack: Stack, tmp_path: Path) -> None:
    handling, triage = await stack.engine("handling", automations=[]), await stack.engine("triage", automations=[])
    author = Author(subject_of(1))
    first, second, *rest = author.say(registered(), *CHASES)
    fork = Author(author.subject).say(registered("somebody else's words"))[0]
    async with pen(stack) as hand:
        await hand.write(first, fork, second)
        for engine in (handling, triage):
            await read_to_the_end(engine)
        (one,) = await handling.parking.subjects()
        true = replace(named(one), content=first.record().content, hash=first.record().hash, offset=0)
        ahead = replace(named(one), content=rest[0].record().content, hash=rest[0].record().hash, offset=10**6)
        own = await handling.pass_over([true, ahead], *BY)
        assert (own.taken, own.elsewhere, own.unread) == (0, 1, 1)
        for engine in (handling, triage):
            assert (await engine.pass_over([named(one)], *BY)).settled == 2
        await hand.write(*rest)
    for engine in (handling, triage):
        await read_to_the_end(engine)
        assert await chases(engine, author.subject) == 3
        await rebuilt(stack, engine.source, tmp_path)


async def test_a_waiting_copy_of_what_was_folded_takes_no_decision_either(stack: Stack, tmp_path: Path) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, third, fourth = author.say(registered(), *CHASES)
    async with pen(stack) as hand:
        await hand.write(third, first, first)
        await read_to_the_end(handling)
        own = await handling.redrive(author.subject)
        assert (own.folded, own.left, own.reason) == (1, 2, "gap")
        (one,) = await handling.parking.subjects()
        copy = replace(named(one), content=first.record().content, hash=first.record().hash)
        told = await handling.pass_over([copy], *BY)
        assert (told.taken, told.elsewhere, told.left) == (0, 1, 1)
        await hand.write(second, fourth)
        await read_to_the_end(handling)
        assert (await handling.redrive(author.subject)).left == 0
    assert await chases(handling, author.subject) == 3
    await rebuilt(stack, "handling", tmp_path)


async def test_what_the_journal_has_by_now_is_not_passed_over(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    (opened,) = Author(subject_of(1), HANDLING).say(CaseOpened(cycle=1, routing=1, department="d"))
    async with pen(stack) as hand:
        await hand.write(opened)
    await read_to_the_end(handling)
    (one,) = await handling.parking.subjects()
    assert one.reason == "not-in-journal"
    owner, headers = await stack.connect("handling", owner=True), dict(opened.headers)
    await owner.execute(
        "INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition) VALUES ($1, 1, $2, $3, $4, $5, $6, $7)",
        *(subject_of(1), LIFECYCLE, one.type, headers["prevhash"], headers["hash"], opened.value, one.partition),
    )
    await owner.close()
    done = await handling.pass_over([named(one)], *BY)
    assert (done.taken, done.elsewhere) == (0, 1) and await held(handling) == ([], [])


async def test_what_nobody_can_fold_is_passed_over_where_it_is_not_read_yet(stack: Stack, tmp_path: Path) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, *rest = author.say(registered(), *CHASES)
    bad, dead_letters = replace(second, value=b"{"), Sent(b"order/1", b"{}", partition=first.place())
    async with pen(stack) as hand:
        await hand.write(first)
        await read_to_the_end(handling)
        reader = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, stack.partitions, MAC)
        records = [each.record(5, stack.prefix + LIFECYCLE) for each in (bad, dead_letters)]
        assert [type(reader.judge(record)).__name__ for record in records] == ["RejectedRecord", "DeadLetter"]
        told = [SkippedRecord(r.topic, r.partition, r.offset, r.content, r.hash, False) for r in records]
        assert (await handling.pass_over(told, *BY)).taken == 2
        await hand.write(bad, dead_letters, second, *rest, bad)
    await read_to_the_end(handling)
    assert await held(handling) == ([], []) and await chases(handling, author.subject) == 3
    await rebuilt(stack, "handling", tmp_path)


async def test_a_dry_run_of_a_redrive_tells_what_would_be_folded_and_folds_nothing(stack: Stack, tmp_path: Path) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    many = 1_200
    first, second, *rest = author.say(registered(), *(ComplaintChased(chase=n) for n in range(1, many + 1)))
    bad = replace(second, value=b"{")
    async with pen(stack) as hand:
        for each in (first, *rest, bad, second, bad):
            await hand.producer.send(
                hand.prefix + LIFECYCLE, each.value, each.key, each.place(), headers=each.headers_on(hand.prefix + LIFECYCLE)
            )
        await hand.producer.flush()
    await read_to_the_end(handling)
    before = await states(stack, "handling")
    would = await handling.redrive(author.subject, dry_run=True)
    assert (would.folded, would.left, would.reason) == (many, 2, "malformed")
    assert await states(stack, "handling") == before
    assert await handling.redrive(author.subject) == would
    assert await handling.redrive(author.subject, dry_run=True) == replace(would, folded=0)
    assert (await handling.parking.skip(author.subject, *BY)).left == 0
    await rebuilt(stack, "handling", tmp_path)


async def test_what_was_set_aside_is_redriven_once_a_release_can_read_it_and_else_passed_over(stack: Stack, tmp_path: Path) -> None:
    older = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second, *rest = author.say(registered(), *CHASES)
    stranger = Sent(b"order/1", first.value, list(first.headers), partition=first.place())

    def cannot_read(reader: Reader) -> None:
        reader._subject = re.compile("nothing")  # a release that does not know this kind of subject

    known = older._reader._subject
    cannot_read(older._reader)
    async with pen(stack) as hand:
        await hand.write(first, stranger, second)
        await read_to_the_end(older)
        assert (await held(older))[1] == ["no-subject"] * 3
        older._reader._subject = known  # the newer release
        await hand.write(*rest)
    await read_to_the_end(older)
    assert await held(older) == (["gap"], ["no-subject"] * 3)
    report = await check(stack)
    advice = {each.advice for each in report.differences}
    assert advice == {"redress redrive handling --set-aside"}, report.differences
    aside = await older.parking.dead_letters()
    place = aside[0].topic, aside[0].partition
    offsets = sorted(each.offset for each in aside)
    would = await older.redrive_aside(*place, offsets, dry_run=True)
    assert (would.taken_in, would.folded, would.unreadable) == (2, 0, 1)
    own = await older.redrive_aside(*place, offsets, dry_run=False)
    assert (own.taken_in, own.folded, own.left, own.unreadable) == (2, 4, 0, 1)
    assert await chases(older, author.subject) == 3 and await held(older) == ([], ["no-subject"])
    (left,) = await older.parking.dead_letters()
    assert (await older.pass_over([named(left)], *BY)).settled == 1
    assert await held(older) == ([], [])
    await rebuilt(stack, "handling", tmp_path)


async def check(stack: Stack) -> VerifyReport:
    return await verify(described(stack, "handling"), (await stack.database("handling")).app_dsn, stack.kafka)


async def test_keys_that_another_master_key_did_not_unwrap_are_taken_in_with_the_right_one(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    right = handling._vault._master
    handling._vault._master = Vault(bytes(32), None, None)._master  # type: ignore[arg-type]
    _, wrapped = Vault(bytes(range(32)), None, None).make_key(subject_of(1))  # type: ignore[arg-type]
    async with pen(stack) as hand:
        await hand.write(Sent(subject_of(1).encode(), wrapped), Sent(subject_of(2).encode(), wrapped), topic=KEYS)
    await eventually(lambda: two_aside(handling))
    handling._vault._master = right
    own = await handling.redrive_aside(stack.prefix + KEYS, 0, [0, 1], dry_run=False)
    assert (own.taken_in, own.folded, own.unreadable) == (1, 1, 1)
    connection = await stack.connect("handling")
    assert await connection.fetchval("SELECT array_agg(subject) FROM keys") == [subject_of(1)]
    await connection.close()
    (left,) = await handling.parking.dead_letters()
    assert (await handling.pass_over([named(left)], *BY)).settled == 1 and await held(handling) == ([], [])


async def two_aside(engine: Engine) -> bool:
    return (await held(engine))[1] == ["not-our-key"] * 2


async def test_what_is_shown_of_a_record_has_nothing_of_a_customer(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second = author.say(registered("my neighbour Wang is 13800000001"), CHASES[0])
    assert first.value is not None
    data = orjson.loads(first.value)
    data["data"] |= {"customer": "Wang", "number": {"name": "Wang"}, "extra": "Wang", "channel": "app"}
    value = orjson.dumps(data)
    clear = replace(first, value=value, headers=[*(dict(first.headers) | {"hash": chain(bytes(32), value)}).items()])
    junk = Sent(second.key, b"\x00\xff" + b"x" * 1_000)
    async with pen(stack) as hand:
        await hand.write(clear, junk)
    await read_to_the_end(handling)
    seen = await handling.held(author.subject, None, None)
    assert seen is not None and "Wang" not in str(seen) and "1380000" not in str(seen)
    assert (seen["reason"], seen["value"]["type"]) == ("not-sealed", "redress.intake.complaint-registered.v1")
    shown = seen["value"]["data"]
    assert shown["channel"] == "app" and shown["text"].startswith("sealed: sealed:1:") and len(shown["text"]) < 60
    assert (shown["customer"], shown["number"], shown["extra"]) == ("masked: 4 characters", "masked: an object", "masked: 4 characters")
    assert seen["headers"]["hash"] == chain(bytes(32), value).hex()
    second_one = await handling.held(None, (first.place(), seen["offset"] + 1), None)
    assert second_one is not None and second_one["bytes"] == r"\x00\xff" + "x" * 298 + "… (702 more bytes)"
    assert await handling.held(None, (first.place(), 10**6), None) is None


async def test_a_reason_is_no_place_for_a_customers_data(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    async with pen(stack) as hand:
        await hand.write(Sent(subject_of(1).encode(), b"{"))
    await read_to_the_end(handling)
    for why in ("", "he called from 138 0000 0001", "wang@example.com wrote it", "x" * 201):
        with pytest.raises(ValueError, match="reason"):
            await handling.parking.skip(subject_of(1), "ops:bob", why)
    connection = await stack.connect("handling")
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("INSERT INTO skips VALUES ('t', 0, 'c', 'h', 0, 0, 'w', repeat('x', 201))")
    await connection.close()
