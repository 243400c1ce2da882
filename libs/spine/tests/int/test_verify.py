"""verify says equal while all is well, and finds each kind of damage, saying which and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from spine_log import Author, idle, made_anew, on_the_log, pen, rebuild, states, subject_of, verified
from spine_stack import HANDLING_AGGREGATE, INTAKE_AGGREGATE, MAC, MASTER, Stack, eventually, metadata, registered

from redress_events.contracts import CONTRACTS, HANDLING, INTAKE
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import KEYS
from redress_spine.admin.verify import VerifyReport, _Check, verify
from redress_spine.aggregate import Verified

VERIFIED = {
    "intake": lambda stack: Verified("intake", {"complaint": INTAKE_AGGREGATE}, INTAKE, CONTRACTS, stack.partitions, stack.prefix, MAC),
    "handling": lambda stack: Verified(
        "handling", {"complaint": HANDLING_AGGREGATE}, HANDLING, CONTRACTS, stack.partitions, stack.prefix, MAC
    ),
}


async def check(stack: Stack, source: str) -> VerifyReport:
    return await verify(VERIFIED[source](stack), (await stack.database(source)).app_dsn, stack.kafka, master=MASTER)


def is_shown(which: str) -> bool:
    """A row or a count of a projection, which is no longer its state's where that was damaged: `test_projections_live` has these."""
    return which.endswith(" in toys") or which.startswith("stage ")


async def filled(stack: Stack) -> list[str]:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(8)]

    async def observed() -> bool:
        return all([(await intake.read(subject)).state.observed.opened == 1 for subject in subjects])

    await eventually(observed)
    await stack.stop(intake)
    await stack.stop(handling)
    return subjects


async def test_verify_finds_nothing_while_all_is_well_and_every_kind_of_damage(stack: Stack) -> None:
    subjects = await filled(stack)
    for source in ("intake", "handling"):
        report = await check(stack, source)
        assert report.equal and report.states == 8 and report.journal_events == report.log_records == 8 and report.lost == 0, report

    async def damaged(source: str, sql: str, *args: object) -> list[tuple[str, str, str]]:
        owner = await stack.connect(source, owner=True)
        await owner.execute(sql, *args)
        await owner.close()
        return [(each.where, each.which, each.what) for each in (await check(stack, source)).differences if not is_shown(each.which)]

    found = await damaged("intake", 'UPDATE state SET own = own || \'{"number": "Y"}\' WHERE subject = $1', subjects[0])
    assert found == [("state", subjects[0], "own is not the fold of the journal")]
    found = await damaged("handling", "UPDATE state SET observed = observed || '{\"chases\": 7}' WHERE subject = $1", subjects[1])
    assert found == [("state", subjects[1], "observed is not the fold of the log")]
    found = await damaged("handling", "UPDATE sealed SET ciphertext = '\\x00' WHERE subject = $1 AND ref = 'intake/1/text'", subjects[4])
    assert ("state", f"{subjects[4]} intake/1/text", "is not the ciphertext that its event has") in found and len(found) == 2
    found = await damaged("intake", "DELETE FROM sealed WHERE subject = $1 AND ref = 'intake/1/text'", subjects[4])
    assert ("state", f"{subjects[4]} intake/1/text", "has no ciphertext") in found and len(found) == 2
    found = await damaged("intake", 'UPDATE entries SET data = \'{"department": "elsewhere"}\' WHERE subject = $1', subjects[5])
    assert ("state", f"{subjects[5]} history handling 1", "is another entry than its event's") in found and len(found) == 3
    found = await damaged("intake", "DELETE FROM entries WHERE subject = $1", subjects[5])
    assert ("state", f"{subjects[5]} history handling 1", "has no entry") in found and len(found) == 3
    strange = "INSERT INTO entries (subject, list, source, version, at, data, size) VALUES ($1, 'history', 'handling', 9, 0, '{}', 2)"
    found = await damaged("handling", strange, subjects[6])
    assert ("state", f"{subjects[6]} history handling 9", "is an entry of no event") in found
    found = await damaged("handling", "UPDATE events SET data = data || ' '::bytea WHERE stream = $1", subjects[2])
    assert ("journal", f"{subjects[2]} version 1", "was changed: its hash is not that of its bytes") in found
    found = await damaged("intake", "DELETE FROM state WHERE subject = $1", subjects[3])
    assert ("state", subjects[3], "has events and no row") in found


async def test_verify_finds_what_the_log_lost_and_what_the_journal_never_had(stack: Stack) -> None:
    subjects = await filled(stack)
    owner = await stack.connect("intake", owner=True)
    await owner.execute(
        "INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition)"
        " SELECT stream, 2, topic, type, hash, prevhash, data, partition FROM events WHERE stream = $1",
        subjects[0],
    )
    await owner.execute("UPDATE relay_checkpoint SET transaction_id = '9000000000000', global_position = 99999")
    await owner.execute("DELETE FROM events WHERE stream = $1", subjects[1])
    await owner.close()
    report = await check(stack, "intake")
    what = [(each.where, each.what) for each in report.differences]
    assert report.lost == 1 and ("log", "is missing on the log") in what and ("log", "is not in the journal") in what


async def test_progress_is_told(stack: Stack) -> None:
    await filled(stack)
    told: list[tuple[str, int, int]] = []
    await verify(VERIFIED["intake"](stack), (await stack.database("intake")).app_dsn, stack.kafka, lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {"journal", "log", "state"} and all(own <= every for _, own, every in told)


@pytest.mark.parametrize(
    ("source", "sql", "what", "advice"),
    [
        ("handling", "DELETE FROM keys WHERE subject = $1", "has sealed words and no key", "redress send-keys SERVICE"),
        ("intake", "DELETE FROM keys WHERE subject = $1", "has sealed words and no key", "redress send-keys SERVICE"),
        (
            "handling",
            "UPDATE keys SET wrapped = sha512(wrapped) WHERE subject = $1",
            "that the master key does not unwrap",
            "delete that row",
        ),
        (
            "handling",
            "UPDATE keys SET wrapped = NULL, destroyed = true, proof = sha256('mine') WHERE subject = $1",
            "nothing proves that this was allowed",
            "delete that row",
        ),
        (
            "intake",
            "UPDATE keys SET subject = gen_random_uuid()::text WHERE subject <> $1; "
            "UPDATE keys SET acknowledged = true, subject = 'complaint/' || gen_random_uuid() WHERE subject <> $1",
            "that the master key does not unwrap",
            "delete that row",
        ),
    ],
    ids=["missing", "missing at intake", "of another master key", "destroyed by nobody", "of another complaint"],
)
async def test_each_key_is_there_and_opens_or_has_the_proof_of_its_end(stack: Stack, source: str, sql: str, what: str, advice: str) -> None:
    subjects = await filled(stack)
    assert (await check(stack, source)).keys == len(subjects)
    owner = await stack.connect(source, owner=True)
    for statement in sql.split("; "):
        await owner.execute(statement, subjects[0])
    await owner.close()
    report = await check(stack, source)
    found = [each for each in report.differences if what in each.what]
    assert found and {each.where for each in found} == {"keys"} and all(advice in each.advice for each in found), report.differences
    if "keys WHERE subject = $1" in sql:
        assert [each.which for each in report.differences] == [subjects[0]]
    without = await verify(VERIFIED[source](stack), (await stack.database(source)).app_dsn, stack.kafka)
    assert without.equal and without.keys is None, "without the master key they are not compared, and that is said"


async def test_a_key_that_is_not_on_its_topic_is_told_by_its_maker_and_comes_by_the_command_that_is_advised(stack: Stack) -> None:
    """The topic of keys is made anew, as it was in the experiment; nobody has sent the keys again."""
    subjects = await filled(stack)
    await made_anew(stack, KEYS)
    report = await check(stack, "intake")
    assert {each.which for each in report.differences} == set(subjects)
    assert {each.advice for each in report.differences} == {"redress send-keys intake"}
    assert (await check(stack, "handling")).equal, "it has them all"
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE relay_checkpoint SET keys_from = ''")  # as the command does
    await owner.close()
    await stack.engine("intake")

    async def sent() -> bool:
        return len(await on_the_log(stack, KEYS, 1)) >= len(subjects)

    await eventually(sent)
    await stack.stop(stack.engines[-1])
    assert (await check(stack, "intake")).equal


async def test_a_wrong_partition_and_a_wrong_revision_are_told_and_a_rebuild_sets_them_right(stack: Stack, tmp_path: Path) -> None:
    """As a minute with another number of partitions leaves it: journal and state have what that number gave."""
    subjects = await filled(stack)
    before = await states(stack, "intake")
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE events SET partition = (partition + 1) % 4 WHERE stream = ANY ($1)", subjects[:3])
    await owner.execute("UPDATE state SET partition = (partition + 1) % 4 WHERE subject = ANY ($1)", subjects[2:5])
    await owner.execute("UPDATE state SET revision = 0 WHERE subject = $1", subjects[5])
    await owner.execute("UPDATE state SET revision = 1::bigint << 40 WHERE subject = $1", subjects[6])
    report = await check(stack, "intake")
    told = {(each.where, each.which.split()[0]) for each in report.differences}
    assert told == {*(("journal", each) for each in subjects[:3]), *(("state", each) for each in subjects[2:7])}
    assert all("redress rebuild intake" in each.advice for each in report.differences)
    await rebuild(stack, "intake", tmp_path)
    await verified(stack, "intake")
    assert await states(stack, "intake") == before
    await owner.close()


async def test_what_operators_did_is_no_difference(stack: Stack, tmp_path: Path) -> None:
    """A gap that was redriven, a malformed record behind it that waits, another gap that is closed and not redriven, and a skip that let
    the chain go on: what verify once called damage that no rebuild healed."""
    handling = await stack.engine("handling", automations=[])
    healed, waiting, passed = (Author(subject_of(n)) for n in range(3))
    async with pen(stack) as hand:
        for author in (healed, waiting, passed):
            first, missing, third, *rest = author.say(registered(), *(ComplaintChased(chase=n) for n in range(1, 6)))
            await hand.write(first, third)
            await parked(handling, author)
            await hand.write(missing)
            await idle(handling)
            assert (await handling.parking.redrive(author.subject)).left == 0
            if author is not healed:
                await hand.write(replace(rest[0], value=b"{"))
                await parked(handling, author)
                await hand.write(*rest)
                await idle(handling)
            if author is passed:
                assert (await handling.parking.skip(author.subject, "ops", "not JSON")).left == 0
                (gap, last) = author.say(ComplaintChased(chase=6), ComplaintChased(chase=7))
                await hand.write(last, gap)
                await idle(handling)
    database = (await stack.database("handling")).app_dsn
    report = await verify(VERIFIED["handling"](stack), database, stack.kafka)  # the author's key is on no topic
    assert report.equal and report.parked == 2, report.differences
    before = await states(stack, "handling")
    await rebuild(stack, "handling", tmp_path)
    report = await verify(VERIFIED["handling"](stack), database, stack.kafka)
    assert report.equal and report.parked == 1, "the gap that was closed and not redriven is folded on the way"
    assert [row for row in await states(stack, "handling") if row[0] != passed.subject] == [
        row for row in before if row[0] != passed.subject
    ]


async def test_what_waits_though_it_could_be_folded_is_to_be_redriven_and_other_damage_to_parking_is_told(stack: Stack) -> None:
    handling = await stack.engine("handling", automations=[])
    unknown, lost, more = (Author(subject_of(n)) for n in range(3))
    async with pen(stack) as hand:
        for author in (unknown, lost, more):
            first, _missing, third = author.say(registered(), ComplaintChased(chase=1), ComplaintChased(chase=2))
            await hand.write(first, third, third)
            await parked(handling, author)
        (fine,) = Author(subject_of(7)).say(registered())
        await hand.write(fine)
        await idle(handling)
    await stack.stop(handling)
    owner = await stack.connect("handling", owner=True)
    await owner.execute("DELETE FROM parked WHERE subject = $1", lost.subject)
    await owner.execute(
        "DELETE FROM parked p USING (SELECT max(position) AS p FROM parked WHERE subject = $1) m WHERE position = m.p", more.subject
    )
    # As an older release would have left it, which did not know the type: it waits, and this release can fold it.
    await owner.execute("UPDATE state SET parked = true, observed = '{}', read = '{}' WHERE subject = $1", subject_of(7))
    (record,) = [each for each in await on_the_log(stack, "complaints.lifecycle.v1", 4) if each.key == subject_of(7).encode()]
    await owner.execute(
        'INSERT INTO parked (subject, topic, partition, "offset", reason, detail, content, hash, headers)'
        " VALUES ($1, $2, $3, $4, 'unknown-version', '', 'c', 'h', '{}')",
        subject_of(7),
        record.topic,
        record.partition,
        record.offset,
    )
    await owner.execute("DELETE FROM sealed WHERE subject = $1", subject_of(7))
    await owner.execute("DELETE FROM entries WHERE subject = $1", subject_of(7))
    await owner.close()
    report = await check(stack, "handling")
    told = {each.which: (each.what, each.advice) for each in report.differences if each.where == "state" and not is_shown(each.which)}
    assert told.keys() == {lost.subject, more.subject, subject_of(7)}, report.differences
    assert "waits for other records than by the log" in told[lost.subject][0] and "rebuild" in told[lost.subject][1]
    assert "waits for other records than by the log" in told[more.subject][0]
    assert "which can be folded" in told[subject_of(7)][0]
    assert told[subject_of(7)][1] == f"redress redrive handling {subject_of(7)}"


async def test_what_only_the_log_has_is_looked_up_some_at_a_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.database("handling")
    looked, look = list[int](), _Check._look_for_unknown

    async def counted(self: _Check, connection: asyncpg.Connection) -> None:
        looked.append(len(self._unknown))
        await look(self, connection)

    monkeypatch.setattr(_Check, "_look_for_unknown", counted)
    monkeypatch.setattr("redress_spine.admin.verify.CHUNK", 2)
    async with pen(stack) as hand:
        for n in range(30):
            await hand.write(*Author(subject_of(n), HANDLING).say(CaseOpened(cycle=1, routing=1, department="d")))
    report = await check(stack, "handling")
    assert len([each for each in report.differences if each.what == "is not in the journal"]) + report.more == 30 == sum(looked)
    assert max(looked) < 20, "all partitions' at once"


async def parked(engine: Any, author: Author) -> None:
    async def there() -> bool:
        return author.subject in {each.subject for each in await engine.parking.subjects()}

    await eventually(there)
