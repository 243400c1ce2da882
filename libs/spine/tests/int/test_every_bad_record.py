"""Forged, forked, reordered, duplicated, truncated, oversized and foreign records: on each topic they harm nobody but their own subject,
an alarm tells of them, and what operators do about them holds through a rebuild."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from spine_log import Author, Sent, described, on_the_log, pen, rebuild, subject_of, verified
from spine_stack import AT, MAC, MASTER, Stack, eventually, metadata, opened, registered
from structlog.testing import capture_logs

from redress_events.contracts import HANDLING
from redress_events.contracts.callback import ClosedComplaint, ComplaintClosed
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import CLOSED, KEYS
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.messaging.envelope import chain
from redress_spine.store.engine import Engine
from redress_spine.store.vault import MAKER, PROOF

Four = tuple[Sent, Sent, Sent, Sent]
OPENED = CaseOpened(cycle=1, routing=1, department="d")


@dataclass(frozen=True)
class Bad:
    """What stands on the lifecycle topic for one complaint, registered and chased three times, with something amiss.

    reason and parked: why it is held up, and how many records wait. cure: what operators do, as often as it takes. chases: then.
    aside: the record belongs to no complaint.
    """

    name: str
    records: Callable[[Four, Author], list[Sent]]
    reason: str | None = None
    parked: int = 0
    cure: str = ""
    aside: str | None = None
    chases: int = 3


def twin(author: Author, records: Four) -> list[Sent]:
    """Other chases than the author's, chained to the same registration: by somebody who has all that it takes but the journal."""
    forger = Author(author.subject)
    envelope = orjson.loads(records[0].value or b"")
    forger.row = replace(copy.copy(author.row), version=envelope["streamversion"], hash=dict(records[0].headers)["hash"])
    return forger.say(ComplaintChased(chase=8), ComplaintChased(chase=9))


def said(record: Sent, old: bytes, new: bytes, *, chained: bool = True) -> Sent:
    """The record with other bytes, and a hash that fits them."""
    assert old in (record.value or b""), record.value
    value = (record.value or b"").replace(old, new)
    own = dict(record.headers) | ({"hash": chain(dict(record.headers)["prevhash"], value)} if chained else {})
    return replace(record, value=value, headers=list(own.items()))


def cut(record: Sent) -> Sent:
    return replace(record, value=(record.value or b"")[:-30])


BAD = [
    Bad("whole", lambda r, _: [*r]),
    Bad("duplicated", lambda r, _: [r[0], r[0], r[1], r[0], r[2], r[1], r[3], *r]),
    Bad("reordered", lambda r, _: [r[0], r[2], r[3], r[1]], "gap", 3, "redrive"),
    Bad("reordered from the first", lambda r, _: [r[1], r[3], r[2], r[0]], "gap", 4, "redrive"),
    Bad("forked, the true one first", lambda r, a: [r[0], r[1], twin(a, r)[0], r[2], r[3]], "fork", 3, "skip"),
    Bad("chained to a fork", lambda r, a: [r[0], r[1], twin(a, r)[1], r[2], r[3]], "wrong-chain", 3, "skip"),
    Bad("other bytes", lambda r, _: [r[0], said(r[1], b'"chase":1', b'"chase":7', chained=False), *r[1:]], "wrong-hash", 4, "skip"),
    Bad("truncated", lambda r, _: [r[0], cut(r[1]), *r[1:]], "malformed", 4, "skip"),
    Bad("truncated to nothing", lambda r, _: [r[0], replace(r[1], value=b""), *r[1:]], "malformed", 4, "skip"),
    Bad("without a value", lambda r, _: [r[0], replace(r[1], value=None), *r[1:]], "malformed", 4, "skip"),
    Bad("without headers", lambda r, _: [r[0], replace(r[1], headers=[]), *r[1:]], "no-chain", 4, "skip"),
    Bad("oversized", lambda r, _: [r[0], replace(r[1], value=b"x" * 1_000_000), *r[1:]], "malformed", 4, "skip"),
    Bad("nested without end", lambda r, _: [r[0], replace(r[1], value=b"[" * 500_000), *r[1:]], "malformed", 4, "skip"),
    Bad("of a foreign service", lambda r, _: [r[0], said(r[1], b"intake", b"fraud"), *r[1:]], "foreign-source", 4, "skip"),
    Bad("of a foreign type", lambda r, _: [r[0], said(r[1], b"redress.intake.", b"redress.fraud."), *r[1:]], "malformed", 4, "skip"),
    Bad("of the reader itself", lambda r, a: [r[0], *Author(a.subject, HANDLING).say(OPENED), *r[1:]], "not-in-journal", 4, "skip"),
    Bad("of an unknown version", lambda r, _: [*r[:3], said(r[3], b"chased.v1", b"chased.v9")], "unknown-version", 1, "skip", chases=2),
    Bad("against the schema", lambda r, _: [*r[:3], said(r[3], b'"chase":3', b'"chase":{}')], "broken-schema", 1, "skip", chases=2),
    Bad("of nobody", lambda r, _: [Sent(b"order/1", r[0].value), *r], aside="no-subject"),
    Bad("with an oversized key", lambda r, _: [Sent(b"complaint/" + b"9" * 900_000, b"x"), *r], aside="no-subject"),
    Bad("under another's key", lambda r, _: [replace(r[0], key=subject_of(999).encode()), *r], aside="key-is-not-subject"),
    Bad("in the wrong partition", lambda r, _: [replace(r[0], partition=(r[0].place() + 1) % 4), *r], aside="wrong-partition"),
]


async def read_to_the_end(stack: Stack, engine: Engine) -> None:
    """Until all that is on the topics now was read, by whichever connection."""
    ends = await engine.watch.ask()
    connection = await stack.connect(engine.source)

    async def read() -> bool:
        live = await connection.fetchval("SELECT schema FROM public.live")
        rows = await connection.fetch(f"SELECT topic, partition, next FROM {live}.consumer_offsets")
        return not sum(max(0, end - {(r[0], r[1]): r[2] for r in rows}.get((at.topic, at.partition), 0)) for at, end in ends.items())

    await eventually(read, within=60)
    await connection.close()


async def seen(engine: Engine, subjects: dict[str, str]) -> tuple[dict[str, int], dict[str, tuple[str, int]]]:
    """By case: the chases that were folded, and why and with how many records it is parked."""
    names = {subject: name for name, subject in subjects.items()}
    parked = {names[each.subject]: (each.reason, each.records) for each in await engine.parking.subjects()}
    return {name: (await engine.read(subject)).state.observed.chases for name, subject in subjects.items()}, parked


async def test_on_the_lifecycle_each_holds_up_its_own_complaint_and_what_operators_did_holds_through_a_rebuild(
    stack: Stack, tmp_path: Path
) -> None:
    handling = await stack.engine("handling", automations=[])
    subjects = {bad.name: subject_of(n) for n, bad in enumerate(BAD, 1)}
    with capture_logs() as alarms:
        async with pen(stack) as hand:
            for bad in BAD:
                author = Author(subjects[bad.name])
                records = author.say(registered(), *(ComplaintChased(chase=n) for n in (1, 2, 3)))
                await hand.write(*bad.records(tuple(records), author))  # type: ignore[arg-type]
            await read_to_the_end(stack, handling)
    _, parked = await seen(handling, subjects)
    assert parked == {bad.name: (bad.reason, bad.parked) for bad in BAD if bad.reason}
    told = {each["subject"]: each["reason"] for each in alarms if each["event"] == "parked" and each["log_level"] == "error"}
    assert told == {subjects[bad.name]: bad.reason for bad in BAD if bad.reason}
    aside = sorted(bad.aside for bad in BAD if bad.aside)
    assert sorted(each["reason"] for each in alarms if each["event"] == "set-aside" and each["log_level"] == "error") == aside
    assert sorted(each.reason for each in await handling.parking.dead_letters()) == aside
    measures = await handling.measures()
    assert (measures.parked_subjects, measures.dead_letters) == (len(parked), len(aside))

    for bad in BAD:
        if bad.cure == "redrive":
            await handling.parking.redrive(subjects[bad.name])
        elif bad.cure == "skip":
            await handling.parking.skip(subjects[bad.name], "ops:bob", "a test of ours")
    cured = ({bad.name: bad.chases for bad in BAD}, dict[str, Any]())
    assert await seen(handling, subjects) == cured
    await verified(stack, "handling")
    await rebuild(stack, "handling", tmp_path)
    await eventually(lambda: same(handling, subjects, cured))
    assert sorted(each.reason for each in await handling.parking.dead_letters()) == aside
    await read_to_the_end(stack, handling)
    await verified(stack, "handling")


async def same(engine: Engine, subjects: dict[str, str], wanted: Any) -> bool:
    try:
        return bool(await seen(engine, subjects) == wanted)
    except asyncpg.UndefinedTableError:
        await engine.measures()  # a question through the front door tells an engine of the swap
        return False


async def test_on_the_topic_of_keys_nothing_but_our_own_keys_is_kept_and_none_is_exchanged(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling", automations=[])
    subject = (await intake.create("complaint", lambda context: [registered("secret")], metadata("k")))[0].subject
    ref, key = "intake/1/text", subject.encode()

    async def opens() -> bool:
        return await opened(handling, subject, ref) == {ref: "secret"}

    await eventually(opens)
    connection = await stack.connect("handling")
    (ours,) = await connection.fetch("SELECT subject, wrapped FROM keys")
    other = bytes(12) + AESGCM(MASTER).encrypt(bytes(12), bytes(32), key)  # wrapped by our master key, and not the one
    bad = [  # a record without a key is refused by the broker: the topic is compacted
        *((Sent(key, wrapped), "not-our-key") for wrapped in (b"", b"short", ours["wrapped"][:-1], bytes(60), b"x" * 900_000)),
        (Sent(subject_of(7).encode(), ours["wrapped"]), "not-our-key"),
        *((Sent(key, None, [(PROOF, proof)]), "not-proved") for proof in (b"", MAC.prove_destroyed(MAKER, subject_of(7)))),
        (Sent(key, None), "not-proved"),
        *((Sent(name, ours["wrapped"]), "no-subject") for name in (b"", b"\xff", b"customer/1", key + b"x", b"k" * 900_000)),
    ]
    with capture_logs() as alarms:
        async with pen(stack) as hand:
            await hand.write(Sent(key, other), Sent(key, ours["wrapped"]), *(record for record, _ in bad), Sent(key, other), topic=KEYS)
            await read_to_the_end(stack, handling)
            await hand.write(*Author(subject_of(1)).say(registered()))
            await read_to_the_end(stack, handling)  # and the log goes on
    wanted = sorted(reason for _, reason in bad)
    assert sorted(each["reason"] for each in alarms if each["event"] == "set-aside" and each["service"] == "handling") == wanted
    assert sorted(each.reason for each in await handling.parking.dead_letters()) == wanted
    assert (await handling.measures()).dead_letters == len(bad)
    assert [tuple(row) for row in await connection.fetch("SELECT subject, wrapped FROM keys")] == [tuple(ours)]
    assert await opens()
    assert (await handling.read(subject_of(1))).state.observed.text is not None
    await connection.close()


async def test_on_the_public_topic_which_only_strangers_read_its_writer_tells_what_is_not_his(stack: Stack) -> None:
    callback = await stack.engine("callback")
    async with pen(stack) as hand:
        await hand.write(*Author(subject_of(1)).say(registered()))
    await read_to_the_end(stack, callback)
    public = ClosedComplaint(
        complaint=subject_of(1).partition("/")[2],
        number="X",
        revision=1,
        reason="satisfied",
        channel="app",
        kind="complaint",
        cycles=1,
        received_at=AT,
        registered_at=AT,
        closed_at=AT,
        seconds_to_close=0,
    )
    await callback.decide(subject_of(1), lambda toy, context: [ComplaintClosed(cycle=1, reason="satisfied"), public], metadata())

    async def published() -> Any:
        return await on_the_log(stack, CLOSED, stack.partitions)

    (record,) = await eventually(published)
    true = Sent(record.key, record.value, list(record.headers), record.partition)
    assert (await check(stack)).equal
    bad = [
        (said(true, b'"cycles":1', b'"cycles":2'), "is another event than the journal has under this version"),
        *((each, "is not a public record of callback") for each in (cut(true), replace(true, value=None), replace(true, headers=[]))),
        (said(true, b'"cycles":1', b'"cycles":3', chained=False), "is not a public record of callback"),
        (replace(true, key=b"closed/of-another"), "is not a public record of callback"),
        (said(true, b"closed-complaint", b"complaint-closed"), "is not a public record of callback"),
        (said(true, b'"callback"', b'"intake"'), "is not a public record of callback"),
        (Sent(None, b"x" * 1_000_000), "is not a public record of callback"),
    ]
    async with pen(stack) as hand:
        await hand.write(true, topic=CLOSED)  # a duplicate is the relay's right
        assert (await check(stack)).equal
        await hand.write(*(each for each, _ in bad), topic=CLOSED)
    report = await check(stack)
    told = sorted([*(what for _, what in bad), "came before version 2"])  # the second version 1 stands where a version 2 should
    assert sorted(each.what for each in report.differences) == told, report.differences
    assert report.lost == 0 and await callback.parking.dead_letters() == [] and await callback.parking.subjects() == []


async def check(stack: Stack) -> VerifyReport:
    return await verify(described(stack, "callback"), (await stack.database("callback")).app_dsn, stack.kafka)
