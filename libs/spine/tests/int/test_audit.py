"""The audit trail in the real PostgreSQL: what the service's role cannot do to it, what is found of what its owner did, and its readers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from spine_stack import MASTER, Stack, eventually

from redress_spine.admin.audit import AuditReport, CannotPrune, Check, Filter, exported, imported, listed, prune, verify
from redress_spine.store import audit, connections
from redress_spine.store.engine import Engine, Unavailable

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOWHERE = "127.0.0.1:9"  # the discard port: nobody answers


def reading(n: int, who: str = "alice", **more: Any) -> dict[str, Any]:
    return {"kind": "reading", "who": who, "subjects": {f"note/{n}": ["jar/1/text"], "note/all": []}, **more}


@pytest.fixture
async def stack(database: Any) -> Stack:
    return Stack(NOWHERE, database)


async def replica(stack: Stack) -> Engine:
    engine = await stack.engine("intake", start=False)
    await engine.start()
    return engine


async def checked(stack: Stack) -> AuditReport:
    return await verify("intake", (await stack.database("intake")).app_dsn, [MASTER])


async def rows(stack: Stack, **wanted: Any) -> list[dict[str, Any]]:
    dsn = (await stack.database("intake")).app_dsn
    return [json.loads(link.record) async for link in listed(dsn, Filter(**wanted), 100)]


async def written(stack: Stack, *records: dict[str, Any]) -> None:
    """By one process from its start to its end."""
    engine = await replica(stack)
    await asyncio.gather(*map(engine.audit, records))
    await engine.stop()


async def test_two_replicas_write_at_once_and_the_trail_is_whole(stack: Stack) -> None:
    one, other = await replica(stack), await replica(stack)
    await asyncio.gather(*(engine.audit(reading(n)) for n in range(150) for engine in (one, other)))
    await one.stop()
    report = await checked(stack)
    assert report.differences == []
    assert (report.chains, report.open, report.kinds["reading"]) == (2, 1, 300)
    await other.stop()
    assert (await checked(stack)).open == 0


async def test_the_services_role_adds_and_reads_and_can_do_nothing_else(stack: Stack) -> None:
    await written(stack, reading(1))
    connection = await stack.connect("intake")
    assert await connection.fetchval("SELECT count(*) FROM audit") == 3
    for harm in ("UPDATE audit SET record = '{}'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit", "ALTER TABLE audit DROP mac"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(harm)
    await connection.close()


async def test_without_the_right_to_add_nothing_is_recorded_and_who_asked_is_told_to_come_again(stack: Stack) -> None:
    engine, owner = await replica(stack), await stack.connect("intake", owner=True)
    role = await owner.fetchval(
        "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'audit' AND grantee <> current_user LIMIT 1"
    )
    await owner.execute(f'REVOKE INSERT ON audit FROM "{role}"')
    with pytest.raises(Unavailable, match="takes no record now"):
        await engine.audit(reading(1))
    await owner.execute(f'GRANT INSERT ON audit TO "{role}"')
    await owner.close()
    await engine.audit(reading(2))
    await engine.stop()
    assert (await checked(stack)).differences == []


@pytest.mark.parametrize(
    ("harm", "number", "what"),
    [
        ("UPDATE audit SET record = replace(record, 'alice', 'bob') WHERE number = 2", 2, "It was changed, or a record before it was."),
        ("UPDATE audit SET subjects = '{}' WHERE number = 2", 2, "Its columns were changed: they are not what the record says."),
        ("UPDATE audit SET at = now() + interval '1 year' WHERE number = 2", 2, "Its columns were changed"),
        ("UPDATE audit SET mac = sha256('') WHERE number = 2", 2, "It was not written by this service: its MAC is wrong."),
        ("DELETE FROM audit WHERE number = 2", 3, "1 record is missing before it."),
        ("DELETE FROM audit WHERE number > 2", 2, "The chain ends here, and had at least 4 records: its end was cut off."),
        ("DELETE FROM audit", 4, "The chain is missing, of which 4 records are known."),
    ],
)
async def test_what_the_owner_of_the_database_did_is_found(stack: Stack, harm: str, number: int, what: str) -> None:
    await written(stack, reading(1), reading(2))
    owner = await stack.connect("intake", owner=True)
    first = await owner.fetchval("SELECT writer FROM audit LIMIT 1")
    engine = await replica(stack)
    await engine.audit(reading(3))  # it names the chain before
    await owner.execute(f"{harm} {'AND' if 'WHERE' in harm else 'WHERE'} writer = '{first}'")
    report = await checked(stack)
    assert [(each.writer, each.number) for each in report.differences] == [(str(first), number)]
    assert report.differences[0].what.startswith(what)
    await owner.close()
    await engine.stop()


async def test_what_is_taken_from_a_chain_that_grows_is_missing_there(stack: Stack) -> None:
    engine = await replica(stack)
    await engine.audit(reading(1))
    owner = await stack.connect("intake", owner=True)
    await owner.execute("DELETE FROM audit WHERE number = 2")
    await owner.close()
    await engine.audit(reading(2))
    assert [each.what for each in (await checked(stack)).differences] == ["1 record is missing before it."]
    await engine.stop()


async def test_it_is_read_by_whom_it_is_about_by_who_read_and_by_time(stack: Stack) -> None:
    await written(stack, reading(1), reading(2, "bob"), {"kind": "refusal", "who": "bob", "subjects": {"note/1": []}})
    assert [each["who"] for each in await rows(stack, subject="note/1")] == ["bob", "alice"]
    assert [each["kind"] for each in await rows(stack, subject="note/1", kinds=["reading"])] == ["reading"]
    assert [sorted(each["subjects"]) for each in await rows(stack, who="bob", kinds=["reading"])] == [["note/2", "note/all"]]
    assert len(await rows(stack, since=LONG_AGO)) == 5
    assert await rows(stack, until=LONG_AGO) == []


async def test_an_export_is_verified_without_the_database(stack: Stack) -> None:
    await written(stack, *map(reading, range(3)))
    dsn = (await stack.database("intake")).app_dsn
    links = [imported(exported(link)) async for link in listed(dsn, Filter())]
    for harmed, number in ((links, None), ([*links[:2], *links[3:]], 4)):
        check = Check("intake", [MASTER])
        check.name(harmed)
        for link in harmed:
            check.take(link)
        assert [each.number for each in check.finish().differences] == ([] if number is None else [number])


async def test_old_chains_go_as_a_whole_and_their_ends_stay_known(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await stack.database("intake")
    with monkeypatch.context() as then:
        then.setattr(audit, "stamp", lambda at: LONG_AGO.isoformat(timespec="microseconds"))
        await written(stack, reading(1))
    await written(stack, reading(2))  # it names the old one
    before = datetime.now(UTC) - timedelta(days=30)
    assert await prune("intake", made.owner_dsn, MASTER, before, "olga") == (1, 3)
    assert (await checked(stack)).differences == []
    assert [each["who"] for each in await rows(stack, kinds=["pruned"])] == ["olga"]
    assert await rows(stack, subject="note/1") == []
    assert await prune("intake", made.owner_dsn, MASTER, before, "olga") == (0, 0)
    with pytest.raises(CannotPrune):
        await prune("intake", made.owner_dsn, MASTER, datetime.now(UTC), "olga")


async def test_without_the_database_nothing_is_recorded_and_afterwards_the_chain_goes_on(stack: Stack, postgres_admin: str) -> None:
    engine = await replica(stack)
    await engine.audit(reading(1))
    name = (await stack.database("intake")).name
    admin = await connections.connect(postgres_admin)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        with pytest.raises(Unavailable):
            await engine.audit(reading(2))
    finally:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
        await admin.close()

    async def again() -> bool:
        try:
            await engine.audit(reading(3))
        except Unavailable:
            return False
        return True

    await eventually(again)
    report = await checked(stack)
    assert (report.chains, report.differences) == (1, [])
    await engine.stop()
