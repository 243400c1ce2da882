"""The master key is exchanged while complaints come, killed in the midst, and gone on with; then the old one is taken away.

Long, for one exchange of a master key is tried with everything that may come between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from spine_log import described, forget, idle, rebuild, verified
from spine_stack import Stack, eventually, metadata, opened, registered

from redress_spine.admin import rewrap
from redress_spine.admin.audit import verify as verify_audit
from redress_spine.admin.rewrap import KeysByMaster, Rewrap, Rewrapped, RewrapRefused, by_master
from redress_spine.admin.verify import verify
from redress_spine.store import master_keys
from redress_spine.store.engine import Engine
from redress_spine.store.errors import KeyMissing, MasterKeyAway
from redress_spine.store.keyring import Keyring, number_of
from redress_spine.store.lookups import FOUND
from redress_spine.store.master_keys import MasterKeys

ONE, TWO, THREE = bytes(range(32)), b"2" * 32, b"3" * 32
PHONE, TEXT = "139 0000 4711", "intake/1/text"
HEARD = 2.0  # seconds within which the engines of a test look


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "LOOK", 0.05)
    monkeypatch.setattr(master_keys, "ASK", 0.05)
    monkeypatch.setattr(master_keys, "ALONE", 0.05)
    monkeypatch.setattr(rewrap, "PAGE", 3)


class Files:
    """The folder of the master keys, as all services have it."""

    def __init__(self, folder: Path) -> None:
        self.first = folder / "master.key"
        self.first.write_bytes(ONE)

    def add(self, number: int, key: bytes) -> None:
        self.first.with_name(f"master.{number}.key").write_bytes(key)

    def keys(self) -> MasterKeys:
        return MasterKeys(self.first)

    async def ring(self) -> Keyring:
        keys = self.keys()
        await keys.load()
        return keys.ring


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def started(stack: Stack, files: Files, *sources: str) -> list[Engine]:
    return [await stack.engine(source, master=files.keys()) for source in sources or ("intake", "handling")]


async def new(intake: Engine, name: str) -> str:
    seen, _ = await intake.create("complaint", lambda context: [registered(name, phone=PHONE)], metadata(name))
    return seen.subject


async def rewrapped(stack: Stack, source: str, ring: Keyring, **how: Any) -> Rewrapped:
    work = Rewrap(described(stack, source), (await stack.database(source)).app_dsn, stack.kafka, ring, **how)
    if await work.choose():
        await asyncio.sleep(HEARD)
    return await work.run()


async def counted(stack: Stack, source: str) -> KeysByMaster:
    return await by_master(source, (await stack.database(source)).app_dsn)


async def found(intake: Engine) -> list[str]:
    digest = intake.digest("complaint", "phone", PHONE)
    return sorted([seen.subject for _, seen in await intake.page(FOUND, [digest], after=None, limit=500)])


async def opens(engine: Engine, texts: dict[str, str]) -> None:
    """Every complaint's words, as soon as the service has them."""
    for subject, text in texts.items():
        assert await eventually(lambda subject=subject: opened(engine, subject, TEXT)) == {TEXT: text}  # type: ignore[misc]


@asynccontextmanager
async def registering(intake: Engine) -> AsyncIterator[dict[str, str]]:
    """Complaints come all the while; texts by subject of those that were registered."""
    texts: dict[str, str] = {}
    ended = asyncio.Event()

    async def go() -> None:
        while not ended.is_set():
            text = f"meanwhile {len(texts)}"
            texts[await new(intake, text)] = text
            await asyncio.sleep(0.02)

    task = asyncio.create_task(go())
    try:
        yield texts
    finally:
        ended.set()
        await task


async def test_it_is_exchanged_while_complaints_come_and_the_old_one_is_needed_no_more(stack: Stack, files: Files, tmp_path: Path) -> None:
    intake, handling = await started(stack, files)
    await intake.audit({"kind": "reading", "who": "li"})
    texts = {await new(intake, f"before {n}"): f"before {n}" for n in range(10)}
    forgotten = await new(intake, "forgotten")
    await forget(intake, forgotten)
    await opens(handling, texts)
    files.add(2, TWO)
    ring = await files.ring()
    async with registering(intake) as meanwhile:
        await eventually(lambda: asyncio.sleep(0, len(meanwhile) > 5))
        done = [await rewrapped(stack, source, ring) for source in ("handling", "intake")]
    assert [(each.differences, each.master, each.sent) for each in done] == [([], 2, False), ([], 2, True)]
    assert all(each.anew > 10 for each in done)
    texts |= meanwhile
    await idle(intake, handling)
    for source in ("intake", "handling"):
        now = await counted(stack, source)
        assert set(now.keys) == {2} and (now.current, now.oldest, now.unsent) == (2, 2, False)
    assert await found(intake) == sorted(texts), "digests are derived from what stays"
    assert await opened(intake, forgotten, TEXT) == {}, "what was destroyed stays destroyed"
    seen, again = await intake.create("complaint", lambda context: [registered("before 0", phone=PHONE)], metadata("before 0"))
    assert again and seen.subject in texts, "a request from before is known by its key"
    for engine in (intake, handling):
        await stack.stop(engine)
    files.first.unlink()
    intake, handling = await started(stack, files)
    triage = (await started(stack, files, "triage"))[0]  # it has read nothing of the topic of keys so far
    for engine in (intake, handling, triage):
        await opens(engine, texts)
    last = await new(intake, "after")
    assert number_of(await wrapped(stack, "intake", last)) == 2
    await opens(triage, {last: "after"})
    await idle(intake, handling, triage)
    only = await files.ring()
    assert only.numbers == [2]
    await rebuild(stack, "intake", tmp_path / "toys", master=only)
    assert await found(intake) == sorted({*texts, last})
    for source in ("intake", "handling", "triage"):
        report = await verified(stack, source, only)
        assert report.dead_letters == 0
    dsn = (await stack.database("intake")).app_dsn
    assert (await verify_audit("intake", dsn, [], ring=only)).whole


async def wrapped(stack: Stack, source: str, subject: str) -> bytes:
    connection = await stack.connect(source)
    try:
        return bytes(await connection.fetchval("SELECT wrapped FROM keys WHERE subject = $1", subject))
    finally:
        await connection.close()


class Killed(Exception):
    """In the midst of it."""


@pytest.mark.parametrize("where", ["wrapping anew", "its relay sends", "verifying"])
async def test_killed_at_any_point_it_is_gone_on_with(stack: Stack, files: Files, where: str) -> None:
    (intake,) = await started(stack, files, "intake")
    texts = {await new(intake, f"before {n}"): f"before {n}" for n in range(8)}
    await idle(intake)
    files.add(2, TWO)
    ring, steps = await files.ring(), [0]

    def progress(what: str, done: int, every: int) -> None:
        if what.startswith(where):
            steps[0] += 1
            if steps[0] == (2 if where == "wrapping anew" else 1):
                raise Killed

    with pytest.raises(Killed):
        await rewrapped(stack, "intake", ring, progress=progress)
    now = await counted(stack, "intake")
    assert now.oldest == 1 and (set(now.keys) == {1, 2}) == (where == "wrapping anew")
    assert now.unsent == (where == "wrapping anew")
    await opens(intake, texts)
    done = await rewrapped(stack, "intake", ring)
    assert not done.differences and done.sent == (where == "wrapping anew")
    now = await counted(stack, "intake")
    assert (now.keys, now.oldest, now.unsent) == ({2: 8}, 2, False)
    again = await rewrapped(stack, "intake", ring)
    assert (again.anew, again.sent, again.differences) == (0, False, []), "once more changes nothing"


async def test_the_old_one_is_not_taken_away_before_its_time(stack: Stack, files: Files) -> None:
    (intake,) = await started(stack, files, "intake")
    subject = await new(intake, "before")
    await idle(intake)
    await stack.stop(intake)
    files.add(2, TWO)
    old = files.first.read_bytes()
    files.first.unlink()
    with pytest.raises(MasterKeyAway, match="Master key 1 is not here"):
        await started(stack, files, "intake")
    ring = await files.ring()
    with pytest.raises(MasterKeyAway):
        await rewrapped(stack, "intake", ring)
    report = await verify(described(stack, "intake"), (await stack.database("intake")).app_dsn, stack.kafka, master=ring)
    assert any("master key 1 wrapped, and that one is not here" in each.what for each in report.differences)
    files.first.write_bytes(old)
    (intake,) = await started(stack, files, "intake")
    await opens(intake, {subject: "before"})


async def test_a_key_that_the_old_one_wraps_meanwhile_is_found(stack: Stack, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a replica that has not looked for a while."""
    (intake,) = await started(stack, files, "intake")
    await new(intake, "before")
    await idle(intake)
    files.add(2, TWO)
    late = Keyring({1: ONE})
    verified_once = Rewrap._verified
    made: list[str] = []

    async def too_late(self: Rewrap, connection: Any) -> bool:
        if not made:
            monkeypatch.setattr(intake._vault, "_master", late)
            made.append(await new(intake, "late"))
            monkeypatch.setattr(intake._vault, "_master", intake._master_keys.ring)
            await idle(intake)
        return await verified_once(self, connection)

    monkeypatch.setattr(Rewrap, "_verified", too_late)
    done = await rewrapped(stack, "intake", await files.ring())
    assert not done.differences and (await counted(stack, "intake")).keys == {2: 2}


async def test_what_no_master_key_opens_keeps_the_old_one_needed(stack: Stack, files: Files) -> None:
    (intake,) = await started(stack, files, "intake")
    await new(intake, "before")
    await idle(intake)
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE keys SET wrapped = sha512(wrapped)")
    await owner.close()
    files.add(2, TWO)
    done = await rewrapped(stack, "intake", await files.ring())
    assert [each.what for each in done.differences] == ["has a key that master key 1 wrapped, and that one is not here"]
    assert (await counted(stack, "intake")).oldest == 1


async def test_a_service_that_lacks_the_new_one_sets_its_keys_aside_until_it_has_it(stack: Stack, files: Files, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = Files(elsewhere)
    (intake,) = await started(stack, files, "intake")
    (handling,) = await started(stack, theirs, "handling")
    files.add(2, TWO)
    await rewrapped(stack, "intake", await files.ring())
    subject = await new(intake, "new")

    async def aside() -> Any:
        return await _dead_letters(stack)

    (letter,) = await eventually(aside)
    assert letter["reason"] == "not-our-key" and "Master key 2 wrapped it" in letter["detail"]
    with pytest.raises(KeyMissing):
        await handling.open(subject, [TEXT])
    theirs.add(2, TWO)
    await eventually(lambda: asyncio.sleep(0, handling._master_keys.ring.numbers == [1, 2]))
    await handling.redrive_aside(letter["topic"], letter["partition"], [letter["offset"]], False)
    await opens(handling, {subject: "new"})


async def test_who_lacks_the_new_one_wraps_nothing_by_the_old_one_once_the_exchange_is_over(
    stack: Stack, files: Files, tmp_path: Path
) -> None:
    """As a replica whose folder nobody changed: who starts anew without the old one would pass over its keys in silence."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = Files(elsewhere)
    (intake,) = await started(stack, theirs, "intake")
    await new(intake, "before")
    await idle(intake)
    files.add(2, TWO)
    assert not (await rewrapped(stack, "intake", await files.ring())).differences
    assert await eventually(lambda: asyncio.sleep(0, "Master key 2 is not here" in intake._master_keys.flaw))
    await eventually(lambda: asyncio.sleep(0, intake._master_keys.ring.current == 2))  # it looked again when the exchange was over
    with pytest.raises(MasterKeyAway, match="Master key 2 wraps what is new"):
        await new(intake, "late")
    assert (await counted(stack, "intake")).keys == {2: 1}
    theirs.add(2, TWO)
    await eventually(lambda: asyncio.sleep(0, not intake._master_keys.flaw and intake._master_keys.ring.wraps))
    await new(intake, "after")
    assert (await counted(stack, "intake")).keys == {2: 2}


async def _dead_letters(stack: Stack) -> list[Any]:
    connection = await stack.connect("handling")
    try:
        return list(await connection.fetch('SELECT topic, partition, "offset", reason, detail FROM dead_letters'))
    finally:
        await connection.close()


async def test_two_exchanges_at_once_and_an_older_ring_are_refused(stack: Stack, files: Files) -> None:
    (intake,) = await started(stack, files, "intake")
    await new(intake, "before")
    await idle(intake)
    files.add(2, TWO)
    ring = await files.ring()
    connection = await stack.connect("intake")
    assert await connection.fetchval(rewrap.LEASE)
    with pytest.raises(RewrapRefused, match="already"):
        await rewrapped(stack, "intake", ring)
    await connection.close()
    files.add(3, THREE)
    third = await files.ring()
    assert not (await rewrapped(stack, "intake", third)).differences
    with pytest.raises(MasterKeyAway, match="Master key 3 is not here"):
        await rewrapped(stack, "intake", ring)
