"""A subject is found by what was written down of its customer, in whatever form, and by nothing once that was forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from spine_log import described, forget, idle, rebuild, verified, whole
from spine_stack import Stack, metadata, registered, with_toys

from redress_spine.admin.rebuild import Rebuild
from redress_spine.store.engine import Engine, Taken
from redress_spine.store.lookups import FOUND, Lookups, MasterKeyNeeded

PHONE = "139 0000 4711"


async def new(intake: Engine, key: str, phone: str | None = PHONE) -> str:
    seen, _ = await intake.create("complaint", lambda context: [registered(phone=phone)], metadata(key))
    return seen.subject


async def found(intake: Engine, text: str, **page: object) -> list[str]:
    digest = intake.digest("complaint", "phone", text)
    rows = await intake.page(FOUND, [digest], **({"after": None, "limit": 10} | page))  # type: ignore[arg-type]
    return [seen.subject for _, seen in rows]


async def test_it_is_found_in_every_form_the_newest_first_page_by_page(stack: Stack) -> None:
    intake = await stack.engine("intake")
    subjects = [await new(intake, f"n-{n}") for n in range(5)]
    await new(intake, "other", "139 0000 4712")
    await new(intake, "none", None)
    newest = sorted(subjects, reverse=True)
    assert sorted(await found(intake, "13900004711")) == sorted(subjects)
    assert [subject[:20] for subject in await found(intake, PHONE)] == [subject[:20] for subject in newest]
    rows = await intake.page(FOUND, [intake.digest("complaint", "phone", PHONE)], after=None, limit=2)
    rest = await found(intake, PHONE, after=(rows[-1][0], rows[-1][1].subject))
    assert sorted([seen.subject for _, seen in rows] + rest) == sorted(subjects)
    assert await found(intake, "13900004713") == [] and intake.digest("complaint", "phone", " ") is None
    await idle(intake)
    await verified(stack, "intake")


async def test_a_value_that_no_two_may_have_has_one_however_many_try_at_once_and_none_once_it_was_forgotten(
    stack: Stack, tmp_path: Path
) -> None:
    intake = await stack.engine("intake")

    async def attempt(n: int, email: str = "Li@example.org") -> str:
        event = registered(phone=PHONE, email=email)
        seen, _ = await intake.create("complaint", lambda context: [event], metadata(f"{email} {n}"))
        return seen.subject

    tried = await asyncio.gather(*(attempt(n) for n in range(8)), attempt(8, "wang@example.org"), return_exceptions=True)
    (first,) = {each for each in tried[:8] if isinstance(each, str)}
    assert [type(each) for each in tried[:8]].count(Taken) == 7 and isinstance(tried[8], str)
    assert await attempt(tried.index(first)) == first, "a request that is repeated under its key is answered as at first"
    assert len(await found(intake, PHONE)) == 2, "another value may be several's"
    for step in ("as it was committed", "as it was rebuilt"):
        with pytest.raises(Taken):
            await attempt(10, "li@EXAMPLE.org")
        await idle(intake)
        await verified(stack, "intake")
        if step == "as it was committed":
            await rebuild(stack, "intake", tmp_path)
    await forget(intake, first)
    assert await attempt(11) != first
    await idle(intake)
    await verified(stack, "intake")


async def test_what_was_forgotten_finds_nothing_and_no_rebuild_brings_it_back(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    kept, forgotten = await new(intake, "kept"), await new(intake, "forgotten")
    await idle(intake)
    before = [row for row in await whole(stack, "intake") if row[0] != forgotten]
    await forget(intake, forgotten)
    assert await found(intake, PHONE) == [kept]
    connection = await stack.connect("intake")
    assert await connection.fetchval("SELECT count(*) FROM lookups") == 1
    await connection.close()
    await idle(intake)
    await verified(stack, "intake")
    await rebuild(stack, "intake", tmp_path)
    assert [row for row in await whole(stack, "intake") if row[0] != forgotten] == before
    assert await found(intake, PHONE) == [kept]
    await verified(stack, "intake")


async def test_what_is_forgotten_while_a_rebuild_has_its_digest_already_finds_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = await stack.engine("intake")
    kept, forgotten = await new(intake, "kept"), await new(intake, "forgotten")
    await idle(intake)
    rows = Lookups.rows

    async def too_early(self: Lookups, connection: Any, sealed: Any) -> Any:
        digests = await rows(self, connection, sealed)
        if any(subject == forgotten for subject, _, _ in digests):
            await forget(intake, forgotten)
        return digests

    monkeypatch.setattr(Lookups, "rows", too_early)
    await rebuild(stack, "intake", tmp_path)
    monkeypatch.undo()
    assert await found(intake, PHONE) == [kept]
    await idle(intake)
    await verified(stack, "intake")


async def test_without_the_master_key_nothing_is_rebuilt(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    subject, database = await new(intake, "new"), await stack.database("intake")
    automations = Rebuild(
        described(stack, "intake"),
        fold=1,
        owner_dsn=database.owner_dsn,
        app_role=database.app_role,
        service_migrations_dir=with_toys(tmp_path),
        kafka=stack.kafka,
    )
    with pytest.raises(MasterKeyNeeded):
        await automations.run()
    assert await found(intake, PHONE) == [subject]


async def test_no_table_holds_the_number(stack: Stack) -> None:
    intake = await stack.engine("intake")
    await new(intake, "new")
    connection = await stack.connect("intake", owner=True)
    for table in ("state", "lookups", "sealed", "entries", "toys", "public.events", "public.keys", "public.idempotency"):
        for row in await connection.fetch(f"SELECT t::text AS whole FROM {table} t"):
            assert "00004711" not in row["whole"] and b"00004711".hex() not in row["whole"], table
    await connection.close()
