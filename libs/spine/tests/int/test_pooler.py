"""Between a service and PostgreSQL stands a pooler: in session mode all goes as without it, by TLS; in any other nothing is begun. And
passwords that stand in files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from spine_log import idle, rebuild, states, verified
from spine_pooler import PROGRAM, pooler
from spine_stack import Stack, engine_of, eventually, metadata, registered, with_toys

from redress_local.provision import Databases
from redress_spine.messaging import topics
from redress_spine.store import connections
from redress_spine.store.connections import SharedSession, demand_sessions
from redress_spine.store.engine import Engine, Unavailable
from redress_spine.store.migrate import HERE, MigrationFailed, migrate

MESSAGE = "is reached through a pooler that gives one session of the server to several clients"
installed = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed: apt-get install pgbouncer")


async def opened(intake: Engine) -> None:
    """A complaint is registered, and its case opened by the other service."""
    subject = (await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject

    async def observed() -> bool:
        return bool((await intake.read(subject)).state.observed.opened)

    await eventually(observed, 60)


@installed
async def test_in_session_mode_all_goes_through_it_by_tls_with_a_private_authority(database: Any, kafka_address: str, folder: Path) -> None:
    direct = {service: await database(service) for service in ("intake", "handling")}
    async with pooler("session", list(direct.values())) as before:

        async def made(service: str) -> Databases:
            return before.through(direct[service])

        stack = Stack(kafka_address, made)
        await topics.ensure(kafka_address, partitions=stack.partitions, prefix=stack.prefix)
        try:
            intake, handling = await stack.engine("intake"), await stack.engine("handling")
            await opened(intake)
            await idle(intake, handling)
            folded = await states(stack, "intake")
            await rebuild(stack, "intake", folder)
            assert await states(stack, "intake") == folded != []
            await verified(stack, "intake")
        finally:
            await stack.end()

        app = await connections.connect((await made("intake")).app_dsn, server_settings={"search_path": "fold1_1,public", "jit": "off"})
        assert await app.fetchval("SELECT current_setting('search_path') || ' ' || current_setting('jit')") == "fold1_1,public off"
        await app.close()
        another = (await made("intake")).app_dsn.replace("127.0.0.1", "localhost")
        with pytest.raises(OSError, match="Hostname mismatch"):
            await connections.connect(another)


@installed
@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1"),
        ("transaction", "default_pool_size = 1"),
        ("transaction", "ignore_startup_parameters = search_path,transaction_timeout\nmin_pool_size = 3"),
        ("statement", ""),
    ],
)
async def test_in_another_mode_nothing_is_begun(database: Any, kafka_address: str, folder: Path, mode: str, more: str) -> None:
    direct = await database("intake")
    how: dict[str, Any] = {"app_role": direct.app_role, "service_migrations_dir": with_toys(folder / "toys"), "fold": 1, "partitions": 4}
    await migrate(owner_dsn=direct.owner_dsn, **how)
    async with pooler(mode, [direct], more) as before:
        databases = before.through(direct)
        for _ in range(2):  # also where sessions to the server are there already
            with pytest.raises(SharedSession, match=MESSAGE):
                await demand_sessions(databases.app_dsn)
        engine = engine_of("intake", databases.app_dsn, kafka_address, "t.", 4)
        with pytest.raises(Unavailable, match=f"^The database of intake {MESSAGE}.*pool_mode = session"):
            await engine.start()
        await engine.stop()
        with pytest.raises(MigrationFailed, match=MESSAGE):
            await migrate(owner_dsn=databases.owner_dsn, **how)


@installed
async def test_others_who_use_the_same_pooler_do_not_hide_that_it_shares(database: Any) -> None:
    direct = await database("intake")
    async with pooler("transaction", [direct]) as before:
        dsn = before.through(direct).app_dsn
        others = [await connections.connect(dsn) for _ in range(4)]

        async def ask(connection: Any) -> None:
            while True:
                await connection.execute("SELECT pg_sleep(0.002)")

        busy = [asyncio.create_task(ask(each)) for each in others]
        try:
            for _ in range(10):
                with pytest.raises(SharedSession):
                    await demand_sessions(dsn)
        finally:
            for task in busy:
                task.cancel()
            await asyncio.wait(busy)
            for each in others:
                each.terminate()


async def test_without_a_pooler_every_client_has_a_session_of_its_own(database: Any) -> None:
    direct = await database("intake")
    await asyncio.gather(*(demand_sessions(direct.app_dsn) for _ in range(5)))


# -- passwords


@pytest.fixture
async def by_file(database: Any, folder: Path) -> tuple[Databases, Path]:
    """A migrated database whose app address has no password, and the file that has it."""
    made: Databases = await database("intake")
    how: dict[str, Any] = {"app_role": made.app_role, "service_migrations_dir": with_toys(folder / "toys"), "fold": 1, "partitions": 4}
    await migrate(owner_dsn=made.owner_dsn, **how)
    parts, file = urlsplit(made.app_dsn), folder / "password"
    file.write_text(f"{parts.password}\n")
    bare = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))
    return replace(made, app_dsn=bare), file


async def test_a_password_that_was_renewed_is_read_again(by_file: tuple[Databases, Path], postgres_admin: str, kafka_address: str) -> None:
    databases, file = by_file
    engine = engine_of("intake", databases.app_dsn, kafka_address, "t.", 4, password_file=file)
    await engine.start()
    try:
        await engine.create("complaint", lambda context: [registered()], metadata())
        admin = await connections.connect(postgres_admin)
        await admin.execute(f"ALTER ROLE \"{databases.app_role}\" PASSWORD 'renewed'")
        await admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{databases.app_role}'")
        await admin.close()
        with pytest.raises(Unavailable):
            await engine.create("complaint", lambda context: [registered()], metadata())
        file.write_text("renewed")

        async def takes_commands() -> bool:
            try:
                await engine.create("complaint", lambda context: [registered()], metadata())
            except Unavailable:
                return False
            return True

        await eventually(takes_commands, 60)
    finally:
        await engine.stop()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"is not asked: The file of the password, .*/password, cannot be read: No such file or directory\."),
        ("\n", r"is not asked: The file of the password, .*/password, is empty\."),
        ("wrong", r"refuses the user, or the password\."),
    ],
)
async def test_a_password_that_is_not_there_or_not_right_is_told(
    by_file: tuple[Databases, Path], kafka_address: str, content: str | None, message: str
) -> None:
    databases, file = by_file
    file.unlink()
    if content is not None:
        file.write_text(content)
    engine = engine_of("intake", databases.app_dsn, kafka_address, "t.", 4, password_file=file)
    with pytest.raises(Unavailable, match=f"^The database of intake {message}"):
        await engine.start()
    await engine.stop()


async def test_a_migration_that_fails_leaves_nothing_and_says_which_it_was(database: Any, folder: Path) -> None:
    made = await database("intake")
    broken = with_toys(folder / "toys")
    (broken / "20260101000200_broken.sql").write_text("-- migrate:up\nCREATE TABLE half (n int);\nCREATE TABLE toys (n int);\n")
    how: dict[str, Any] = {"owner_dsn": made.owner_dsn, "app_role": made.app_role, "service_migrations_dir": broken, "fold": 1}
    for _ in range(2):
        with pytest.raises(MigrationFailed, match=r'^20260101000200_broken\.sql: relation "toys" already exists'):
            await migrate(**how)
    owner = await connections.connect(made.owner_dsn)
    assert await owner.fetchval("SELECT count(*) FROM pg_tables WHERE tablename = 'half'") == 0
    (broken / "20260101000200_broken.sql").write_text("CREATE TABLE half (n int);\n")
    with pytest.raises(MigrationFailed, match="it has no line `-- migrate:up`"):
        await migrate(**how)
    (broken / "20260101000200_broken.sql").unlink()
    await migrate(**how)
    assert await owner.fetchval("SELECT count(*) FROM public.schema_migrations") == len(list((HERE / "journal").glob("*.sql")))
    await owner.close()
