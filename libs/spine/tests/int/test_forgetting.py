"""A subject is forgotten by an event: its key and what it sealed go in every service, and no backup and no rebuild brings them back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from spine_log import Author, Sent, adopted, described, forget, idle, on_the_log, pen, rebuild
from spine_servers import Archive, archive, moved, stack_on
from spine_stack import MAC, MASTER, Stack, eventually, metadata, opened, registered
from structlog.testing import capture_logs

from redress_events.contracts.handling import ProgressReported
from redress_events.contracts.intake import ComplaintForgotten, ComplaintSupplemented
from redress_events.vocabulary import KEYS
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.messaging import topics
from redress_spine.messaging.mac import MacKeys
from redress_spine.store.engine import Engine, Forgotten
from redress_spine.store.errors import NotYet
from redress_spine.store.lookups import FOUND
from redress_spine.store.vault import MAKER, PROOF

REF, PHONE = "intake/1/text", "139 0000 4711"
BOTH = ("intake", "handling")
SEND_AGAIN = "UPDATE relay_checkpoint SET keys_from = ''"
LEFT = """
SELECT (SELECT count(*) FROM keys WHERE subject = $1 AND NOT destroyed) + (SELECT count(*) FROM sealed WHERE subject = $1)
    + (SELECT count(*) FROM lookups WHERE subject = $1)
"""
# As if compaction had taken the tombstone: it is not read.
READ_ON = "UPDATE consumer_offsets SET next = next + 1, last_offset = NULL, last_hash = NULL WHERE topic = $1"
BACK = "UPDATE keys SET wrapped = $2, destroyed = false, proof = NULL WHERE subject = $1"


async def new(intake: Engine, key: str) -> str:
    return (await intake.create("complaint", lambda context: [registered("secret", phone=PHONE)], metadata(key)))[0].subject


async def found(intake: Engine) -> list[str]:
    return [seen.subject for _, seen in await intake.page(FOUND, [intake.digest("complaint", "phone", PHONE)], after=None, limit=10)]


async def nothing_left(stack: Stack, source: str, subject: str) -> bool:
    connection = await stack.connect(source, owner=True)
    live = await connection.fetchval("SELECT schema FROM live")
    await connection.execute(f"SET search_path = {live}, public")
    left = await connection.fetchval(LEFT, subject)
    await connection.close()
    return bool(left == 0)


async def compared(stack: Stack, source: str) -> VerifyReport:
    return await verify(described(stack, source), (await stack.database(source)).app_dsn, stack.kafka, master=MASTER)


async def differences(stack: Stack, source: str) -> list[tuple[str, str]]:
    return [(each.which, each.what) for each in (await compared(stack, source)).differences]


async def is_equal(stack: Stack, source: str, forgotten: int) -> None:
    report = await compared(stack, source)
    assert (report.equal, report.forgotten) == (True, forgotten), report


async def test_its_words_are_gone_everywhere_and_no_rebuild_brings_them_back(stack: Stack, tmp_path: Path) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    kept, gone = await new(intake, "kept"), await new(intake, "gone")
    for subject in (kept, gone):
        await eventually(partial(opened, handling, subject, REF))
    sent = listened(intake)
    await forget(intake, gone)
    assert await intake.open(gone, [REF]) == {}, "it waits for nobody"
    assert await found(intake) == [kept]
    for source in BOTH:
        await eventually(partial(nothing_left, stack, source, gone))
    for engine in (intake, handling):
        assert await engine.open(gone, [REF]) == {} and await engine.open(kept, [REF]) == {REF: "secret"}
        with pytest.raises(Forgotten):
            await seal(engine, gone)
    await idle(intake, handling)
    (tombstone,) = [record for record in await on_the_log(stack, KEYS, 1) if record.value is None]
    proof = dict(tombstone.headers)[PROOF]
    assert tombstone.key.decode() == gone and MAC.proves_destroyed(MAKER, gone, proof)
    assert sent.index("forgetting") < sent.index("tombstone"), "a tombstone follows from its event"
    for source in BOTH:
        await is_equal(stack, source, 1)
        await rebuild(stack, source, tmp_path)
        assert await nothing_left(stack, source, gone)
        await is_equal(stack, source, 1)
    assert await found(intake) == [kept]


def listened(engine: Engine) -> list[str]:
    """What its relay sends of a forgetting from now on, in order."""
    real, sent = engine.relay._send, list[str]()

    async def send(made: Iterable[Any]) -> None:
        records = list(made)
        sent.extend("tombstone" if value is None else "forgetting" for _, _, _, value, _ in records if not value or b'"proof":' in value)
        await real(records)

    engine.relay._send = send  # type: ignore[assignment]
    return sent


async def seal(engine: Engine, subject: str) -> None:
    more = ComplaintSupplemented(supplement=1, text="more") if engine.source == MAKER else ProgressReported(cycle=1, note="more")
    await engine.decide(subject, lambda toy, context: [more], metadata())


@pytest.mark.parametrize("by", ["the projector", "a rebuild"])
async def test_a_key_that_a_backup_brings_back_is_destroyed_again_though_its_tombstone_is_gone(
    stack: Stack, tmp_path: Path, by: str
) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subject = await new(intake, "k")
    await eventually(partial(opened, handling, subject, REF))
    await idle(intake, handling)
    await stack.stop(handling)  # as it stands now, a backup has it
    await forget(intake, subject)
    await idle(intake)
    owner = await stack.connect("handling", owner=True)
    await owner.execute(READ_ON, stack.prefix + KEYS)
    assert await owner.fetchval("SELECT count(*) FROM keys WHERE NOT destroyed") == 1
    await owner.close()
    if by == "a rebuild":
        await rebuild(stack, "handling", tmp_path)
        assert await nothing_left(stack, "handling", subject)
    handling = await stack.engine("handling")
    await eventually(partial(nothing_left, stack, "handling", subject))
    assert await handling.open(subject, [REF]) == {}
    await idle(intake, handling)
    await is_equal(stack, "handling", 1)


async def test_what_was_sealed_and_forgotten_in_one_page_of_the_log_is_not_kept(stack: Stack) -> None:
    """As by a service that was away while both came, and whose tombstone is gone."""
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    await idle(intake, handling)
    await stack.stop(handling)
    subject = await new(intake, "k")
    await forget(intake, subject)
    await idle(intake)
    owner = await stack.connect("handling", owner=True)
    for _ in range(2):  # the key and the tombstone
        await owner.execute(READ_ON, stack.prefix + KEYS)
    await owner.close()
    handling = await stack.engine("handling")
    await idle(intake, handling)
    assert (await handling.read(subject)).state.observed.text == REF and await nothing_left(stack, "handling", subject)
    await is_equal(stack, "handling", 1)


async def test_verify_tells_the_forgotten_from_what_somebody_destroyed_or_brought_back(stack: Stack, tmp_path: Path) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    one, other = await new(intake, "1"), await new(intake, "2")
    for subject in (one, other):
        await eventually(partial(opened, handling, subject, REF))
    (wrapped,) = [record.value for record in await on_the_log(stack, KEYS, 1) if record.key == one.encode()]
    async with pen(stack) as hand:  # somebody who has the keys of records, and says nothing of why
        await hand.write(Sent(other.encode(), None, [(PROOF, MAC.prove_destroyed(MAKER, other))]), topic=KEYS)
        await forget(intake, one)
        for source in BOTH:
            for subject in (one, other):
                await eventually(partial(nothing_left, stack, source, subject))
        await idle(intake, handling)
        without_proof = (other, "has a destroyed key, and no event says that it was forgotten: destroyed without proof")
        assert [await differences(stack, source) for source in BOTH] == [[without_proof], [without_proof]]

        await hand.write(Sent(one.encode(), wrapped), topic=KEYS)
        again = (one, "was forgotten, and a key of it stands on the topic of keys again")
        assert sorted(await differences(stack, "intake")) == sorted([without_proof, again])
    owner = await stack.connect("intake", owner=True)
    await owner.execute(SEND_AGAIN)
    await owner.close()

    async def taken_back() -> bool:
        return (await on_the_log(stack, KEYS, 1))[-1].value is None

    await eventually(taken_back)
    await idle(intake, handling)
    assert await differences(stack, "intake") == [without_proof]
    owner = await stack.connect("handling", owner=True)
    await owner.execute(BACK, one, wrapped)
    assert (one, "was forgotten, and its key is still here") in await differences(stack, "handling")
    await rebuild(stack, "handling", tmp_path)
    assert await differences(stack, "handling") == [without_proof]
    await owner.close()


async def test_an_event_without_the_proof_of_its_subject_destroys_nothing(stack: Stack) -> None:
    handling, author = await stack.engine("handling", automations=[]), Author("complaint/01890000-0000-7000-8000-000000000001")
    wrong = ComplaintForgotten(proof=MAC.prove_destroyed(MAKER, "complaint/another").decode(), asked_by="court", reason="No such court.")
    wrapped = handling._vault.make_key(author.subject)[1]
    with capture_logs() as alarms:
        async with pen(stack) as hand:
            await hand.write(Sent(author.subject.encode(), wrapped), topic=KEYS)
            await hand.write(*author.say(registered("secret")), *author.say(wrong))

        async def read() -> bool:
            return (await handling.read(author.subject)).version == 0 and "forgetting-not-proved" in {each["event"] for each in alarms}

        await eventually(read)
    connection = await stack.connect("handling")
    assert await connection.fetchval("SELECT count(*) FROM keys WHERE NOT destroyed") == 1
    await connection.close()


async def test_a_forgetting_that_was_set_aside_destroys_the_key_once_it_is_taken_in(stack: Stack) -> None:
    """As where intake signs with a key that the service lacks for a while."""
    handling, author = await stack.engine("handling", automations=[]), Author("complaint/01890000-0000-7000-8000-000000000001")
    proof = MAC.prove_destroyed(MAKER, author.subject).decode()
    known = handling._reader._mac
    async with pen(stack) as hand:
        await hand.write(Sent(author.subject.encode(), handling._vault.make_key(author.subject)[1]), topic=KEYS)
        await hand.write(*author.say(registered("secret")))

        async def read() -> bool:
            with suppress(NotYet):
                return bool((await handling.read(author.subject)).state.observed.text == REF)
            return False

        await eventually(read)
        handling._reader._mac = MacKeys({"intake.7": bytes(32)})
        await hand.write(*author.say(ComplaintForgotten(proof=proof, asked_by="court", reason="Letter of March, ticket 11")))

        async def aside() -> Any:
            return await handling.parking.dead_letters()

        (letter,) = await eventually(aside)
    assert not await nothing_left(stack, "handling", author.subject)
    handling._reader._mac = known
    assert (await handling.redrive_aside(letter.topic, letter.partition, [letter.offset], dry_run=False)).folded == 1
    assert await nothing_left(stack, "handling", author.subject)


@pytest.fixture
def kept() -> Iterator[Archive]:
    with archive() as made:
        yield made


async def test_a_journal_restored_to_before_the_forgetting_adopts_it_with_all_that_follows(kept: Archive, kafka_address: str) -> None:
    stack = stack_on(kept.primary, kafka_address)
    await topics.ensure(kafka_address, partitions=stack.partitions, prefix=stack.prefix)
    try:
        intake, handling = await stack.engine("intake"), await stack.engine("handling")
        subject = await new(intake, "k")
        await eventually(partial(opened, handling, subject, REF))
        await idle(intake, handling)
        await asyncio.to_thread(kept.mark, "then")
        await forget(intake, subject)
        await eventually(partial(nothing_left, stack, "handling", subject))
        await idle(intake, handling)
        for engine in (intake, handling):
            await stack.stop(engine)
        server = await asyncio.to_thread(kept.back_to, "then")
        for source, made in stack.databases.items():
            stack.databases[source] = moved(made, server)
        for source in BOTH:
            assert not await nothing_left(stack, source, subject), "the backup has it"
            await adopted(stack, source)
        assert await nothing_left(stack, "intake", subject), "before it takes a command, and before it reads the topic of keys"
        intake, handling = await stack.engine("intake"), await stack.engine("handling")
        await eventually(partial(nothing_left, stack, "handling", subject))
        await idle(intake, handling)
        assert await found(intake) == []
        for source in BOTH:
            await is_equal(stack, source, 1)
    finally:
        await stack.end()
