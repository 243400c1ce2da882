"""verify says equal while all is well, and finds each kind of damage, saying which and where."""

from __future__ import annotations

from spine_stack import HANDLING_KIND, INTAKE_KIND, Stack, asked, eventually, registered

from redress_events.contracts import CONTRACTS, HANDLING, INTAKE
from redress_events.verify import Report, Verified, verify

VERIFIED = {
    "intake": lambda stack: Verified("intake", {"complaint": INTAKE_KIND}, INTAKE, CONTRACTS, stack.partitions, stack.prefix),
    "handling": lambda stack: Verified("handling", {"complaint": HANDLING_KIND}, HANDLING, CONTRACTS, stack.partitions, stack.prefix),
}


async def check(stack: Stack, source: str) -> Report:
    return await verify(VERIFIED[source](stack), (await stack.database(source)).app_dsn, stack.kafka)


async def filled(stack: Stack) -> list[str]:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], asked(f"k{n}")))[0].subject for n in range(8)]

    async def heard() -> bool:
        return all([(await intake.read(subject)).state.heard.opened == 1 for subject in subjects])

    await eventually(heard)
    await stack.stop(intake)
    await stack.stop(handling)
    return subjects


async def test_verify_finds_nothing_while_all_is_well_and_every_kind_of_damage(stack: Stack) -> None:
    subjects = await filled(stack)
    for source in ("intake", "handling"):
        report = await check(stack, source)
        assert report.equal and report.states == 8 and report.journal_facts == report.log_records == 8 and report.lost == 0, report

    async def damaged(source: str, sql: str, *args: object) -> list[tuple[str, str, str]]:
        owner = await stack.connect(source, owner=True)
        await owner.execute(sql, *args)
        await owner.close()
        return [(each.where, each.which, each.what) for each in (await check(stack, source)).differences]

    found = await damaged("intake", 'UPDATE state SET done = done || \'{"number": "Y"}\' WHERE subject = $1', subjects[0])
    assert found == [("state", subjects[0], "done is not the fold of the journal")]
    found = await damaged("handling", "UPDATE state SET heard = heard || '{\"chases\": 7}' WHERE subject = $1", subjects[1])
    assert found == [("state", subjects[1], "heard is not the fold of the log")]
    found = await damaged("handling", "UPDATE sealed SET ciphertext = '\\x00' WHERE subject = $1 AND ref = 'intake/1/text'", subjects[4])
    assert ("state", f"{subjects[4]} intake/1/text", "is not the ciphertext that its fact has") in found and len(found) == 2
    found = await damaged("intake", "DELETE FROM sealed WHERE subject = $1 AND ref = 'intake/1/text'", subjects[4])
    assert ("state", f"{subjects[4]} intake/1/text", "has no ciphertext") in found and len(found) == 2
    found = await damaged("intake", 'UPDATE entries SET data = \'{"department": "elsewhere"}\' WHERE subject = $1', subjects[5])
    assert ("state", f"{subjects[5]} history handling 1", "is another entry than its fact's") in found and len(found) == 3
    found = await damaged("intake", "DELETE FROM entries WHERE subject = $1", subjects[5])
    assert ("state", f"{subjects[5]} history handling 1", "has no entry") in found and len(found) == 3
    strange = "INSERT INTO entries (subject, list, source, version, at, data, size) VALUES ($1, 'history', 'handling', 9, 0, '{}', 2)"
    found = await damaged("handling", strange, subjects[6])
    assert ("state", f"{subjects[6]} history handling 9", "is an entry of no fact") in found
    found = await damaged("handling", "UPDATE events SET data = data || ' '::bytea WHERE stream = $1", subjects[2])
    assert ("journal", f"{subjects[2]} version 1", "was changed: its hash is not that of its bytes") in found
    found = await damaged("intake", "DELETE FROM state WHERE subject = $1", subjects[3])
    assert ("state", subjects[3], "has facts and no row") in found


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
    assert {what for what, _, _ in told} == {"journal", "log", "state"} and all(done <= every for _, done, every in told)
