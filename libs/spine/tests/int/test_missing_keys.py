"""A key that is not here is late or lost, and nobody takes that for a forgetting: what needs its words waits, and holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from spine_log import Author, Sent, made_anew, on_the_log, pen, subject_of
from spine_stack import MAC, MASTER, Stack, Toy, eventually, metadata, open_case, opened, registered
from structlog.testing import capture_logs

from redress_events.contracts.handling import ProgressReported
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_events.vocabulary import KEYS
from redress_spine.aggregate import Automation, Context
from redress_spine.processing import automations
from redress_spine.store.engine import Engine, Forgotten, KeyMissing, PlaintextMissing
from redress_spine.store.vault import MAKER, PROOF

REF = "intake/1/text"
READ = "SELECT count(*) FROM consumer_offsets WHERE topic = $1 AND next >= $2"
SEND_AGAIN = "UPDATE relay_checkpoint SET keys_from = ''"


class Reading:
    """An automation that opens a case on the customer's words, and remembers the words that it was given."""

    def __init__(self, due: str = "observed ? 'registered_at' AND NOT own ? 'opened'") -> None:
        self.words: dict[str, Mapping[str, str]] = {}
        self.automation = Automation("reading", due=due, decide=self.decide, index="", opens=lambda toy: [toy.observed.text])

    def decide(self, toy: Toy, context: Context) -> list[Event]:
        self.words[context.subject] = context.plaintext
        return open_case(toy, context)


def key_of(author: Author) -> Sent:
    """The key that the tests' authors seal with, as intake would send it."""
    subject = author.subject.encode()
    return Sent(subject, bytes(12) + AESGCM(MASTER).encrypt(bytes(12), bytes(32), subject))


def tombstone_of(author: Author) -> Sent:
    return Sent(author.subject.encode(), None, [(PROOF, MAC.prove_destroyed(MAKER, author.subject))])


async def test_a_missing_key_sets_work_on_words_aside_with_an_alarm_and_it_is_done_with_the_words_once_the_key_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automations, "LONGEST_RETRY", 1.0)
    reading, author, forgotten = Reading(), Author(subject_of(1)), Author(subject_of(2))
    handling = await stack.engine("handling", automations=[reading.automation])
    connection = await stack.connect("handling")

    async def aside() -> Any:
        return await connection.fetchrow("SELECT error, attempts FROM row_errors WHERE attempts > 2")

    async with pen(stack) as hand:
        with capture_logs() as alarms:
            await hand.write(*author.say(registered("no 5G signal")))
            row = await eventually(aside)
        assert row["error"].startswith(f"KeyMissing: The key of {author.subject} is missing: ")
        assert {each["log_level"] for each in alarms if each["event"] == "work-set-aside"} == {"error"}
        assert (await handling.measures()).stuck_rows == 1 and reading.words == {}
        with pytest.raises(KeyMissing):
            await handling.open(author.subject, [REF])
        with pytest.raises(KeyMissing):
            await handling.decide(author.subject, lambda toy, context: [ProgressReported(cycle=1, note="measured")], metadata())
        await hand.write(key_of(author), topic=KEYS)
        await eventually(lambda: decided(connection, 1))
        assert reading.words == {author.subject: {REF: "no 5G signal"}}
        # A forgetting is an event, with its proof; only then is it done without the words.
        await hand.write(tombstone_of(forgotten), topic=KEYS)
        await hand.write(*forgotten.say(registered()))
        await eventually(lambda: decided(connection, 2))
    assert reading.words[forgotten.subject] == {}
    assert await handling.open(forgotten.subject, [REF]) == {}
    with pytest.raises(Forgotten):
        await handling.decide(forgotten.subject, lambda toy, context: [ProgressReported(cycle=1, note="measured")], metadata())
    assert (await handling.measures()).stuck_rows == 0
    await connection.close()


async def decided(connection: asyncpg.Connection, rows: int) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM state WHERE own ? 'opened'") == rows)


async def test_a_key_or_a_ciphertext_that_was_tampered_with_is_no_forgetting_either(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    author, owner = Author(subject_of(1)), await stack.connect("handling", owner=True)
    async with pen(stack) as hand:
        await hand.write(key_of(author), topic=KEYS)
        await hand.write(*author.say(registered("secret")))
    await eventually(lambda: opened(handling, author.subject, REF))
    for harm, said in (
        ("UPDATE sealed SET ciphertext = substr(ciphertext, 1, 30)", PlaintextMissing),
        ("DELETE FROM sealed", PlaintextMissing),
        ("UPDATE keys SET wrapped = substr(wrapped, 2)", KeyMissing),
        ("UPDATE keys SET wrapped = NULL, destroyed = true, proof = decode('00', 'hex')", KeyMissing),
    ):
        await owner.execute(harm)
        with pytest.raises(said):
            await handling.open(author.subject, [REF])
    await owner.close()


async def test_after_the_topic_of_keys_was_recreated_its_readers_begin_anew_and_all_keys_come_back(stack: Stack) -> None:
    reading = Reading()
    intake, _ = await stack.engine("intake"), await stack.engine("handling", automations=[reading.automation])
    connection = await stack.connect("handling")
    before = [(await intake.create("complaint", lambda context: [registered("before")], metadata(f"k{n}")))[0].subject for n in range(3)]
    await eventually(lambda: decided(connection, 3))
    with capture_logs() as alarms:
        await made_anew(stack, KEYS)
        after = (await intake.create("complaint", lambda context: [registered("no 5G signal")], metadata("after")))[0].subject
        await eventually(lambda: decided(connection, 4), within=60)
    assert reading.words == {**{subject: {REF: "before"} for subject in before}, after: {REF: "no 5G signal"}}
    assert "keys-topic-lost" in {each["event"] for each in alarms if each["log_level"] == "error"}

    async def back() -> bool:
        return {record.key.decode() for record in await on_the_log(stack, KEYS, 1)} == {*before, after}

    await eventually(back, within=60)
    triage = await stack.engine("triage", automations=[])  # who never read the topic as it was
    for subject in before:
        await eventually(partial(opened, triage, subject, REF))
    await connection.close()


async def test_whoever_holds_keys_sends_them_again_with_the_tombstones_for_those_who_lost_them(stack: Stack) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling", automations=[])
    kept = (await intake.create("complaint", lambda context: [registered("kept")], metadata("k1")))[0].subject
    gone = Author((await intake.create("complaint", lambda context: [registered("gone")], metadata("k2")))[0].subject)
    for subject in (kept, gone.subject):
        await eventually(partial(opened, handling, subject, REF))
    async with pen(stack) as hand:
        await hand.write(tombstone_of(gone), topic=KEYS)
    await eventually(lambda: forgets(intake, gone.subject))
    await eventually(lambda: forgets(handling, gone.subject))
    at_handling, at_intake = await stack.connect("handling", owner=True), await stack.connect("intake", owner=True)
    await at_handling.execute("DELETE FROM keys")
    for subject in (kept, gone.subject):
        with pytest.raises(KeyMissing):
            await handling.open(subject, [REF])
    await at_intake.execute(SEND_AGAIN)
    await eventually(lambda: opened(handling, kept, REF))
    await eventually(lambda: forgets(handling, gone.subject))
    assert await at_intake.fetchval("SELECT keys_from IS NULL FROM relay_checkpoint")
    await at_intake.execute("DELETE FROM keys")  # and back: intake's database was the one that lost them
    await at_handling.execute(SEND_AGAIN)
    await eventually(lambda: opened(intake, kept, REF))
    await eventually(lambda: forgets(intake, gone.subject))
    for connection in (at_handling, at_intake):
        await connection.close()


async def forgets(engine: Engine, subject: str) -> bool:
    return await opened(engine, subject, REF) == {}


async def test_two_hundred_rows_without_their_keys_hold_up_neither_the_row_behind_them_nor_another_kind_of_work(stack: Stack) -> None:
    authors = [Author(subject_of(n)) for n in range(1, 203)]
    healthy, other = authors[-2:]
    async with pen(stack) as hand:
        first = await stack.engine("handling", automations=[])
        connection = await stack.connect("handling")
        await hand.write(key_of(healthy), topic=KEYS)
        for author in authors:
            await hand.write(*author.say(registered("no 5G signal")))
        await hand.write(*other.say(ComplaintChased(chase=1)))

        async def read() -> bool:
            return bool(await connection.fetchval("SELECT count(*) = 202 AND count(*) FILTER (WHERE observed ? 'chases') = 1 FROM state"))

        await eventually(read)
        await stack.stop(first)
        await hand.write(key_of(Author(subject_of(999))), topic=KEYS)  # which nobody reads: each wait for a key takes its whole time
    await connection.execute("UPDATE state SET parked = true WHERE observed ? 'chases'")  # until the others wait
    reading = Reading("observed ? 'registered_at' AND NOT observed ? 'chases' AND NOT own ? 'opened'")
    meanwhile: list[bool] = []

    def decide(toy: Toy, context: Context) -> list[Event]:
        meanwhile.append(second._waiting.locked())
        return open_case(toy, context)

    chased = Automation("chased", due="observed ? 'chases' AND NOT own ? 'opened'", decide=decide, index="")
    second = await stack.engine("handling", automations=[reading.automation, chased])
    held_up(second)
    began = asyncio.get_running_loop().time()

    async def waits() -> bool:
        return second._waiting.locked()

    await eventually(waits)
    await connection.execute("UPDATE state SET parked = false")
    await eventually(lambda: decided(connection, 2), within=30)
    took = asyncio.get_running_loop().time() - began
    assert reading.words == {healthy.subject: {REF: "no 5G signal"}}
    assert took < 15, "each row waited for itself"
    assert meanwhile == [True], "one automation waited for another's key"
    assert await connection.fetchval("SELECT count(*) = 200 AND bool_and(error LIKE 'KeyMissing: %not here yet%') FROM row_errors")
    await connection.close()


def held_up(engine: Engine) -> None:
    """The projector keeps its partitions and reads nothing any more, as behind a slow disk."""

    async def project(*_: Any) -> None:
        await asyncio.Future()

    engine.projector.project = project  # type: ignore[method-assign, assignment]
