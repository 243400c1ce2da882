"""A log that lost its start, was made anew, or goes away empties no state: a rebuild refuses, and verify never says equal.

Long, for each moment at which a log can go is a test, and all fill it by the same few steps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError
from spine_log import Author, admin_of, described, idle, made_anew, on_the_log, pen, rebuild, states, subject_of, verified
from spine_stack import Stack, eventually, metadata, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import CLOSED, LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.admin.filling import Filling
from redress_spine.admin.rebuild import NotSwapped, Rebuild, WouldLose
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.messaging import whole_log
from redress_spine.processing.losses import Losses
from redress_spine.store.errors import LogTruncated

COMPLAINTS = 12
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'fold%' ORDER BY 1"


async def cut(stack: Stack, topic: str = LIFECYCLE, leave: int = 0) -> None:
    """As a retention set by mistake does: all partitions lose their records but the last ones."""
    ends = dict.fromkeys(range(stack.partitions), 0)
    for record in await on_the_log(stack, topic, stack.partitions):
        ends[record.partition] = record.offset + 1
    before = {TopicPartition(stack.prefix + topic, n): RecordsToDelete(end - leave) for n, end in ends.items() if end > leave}
    async with admin_of(stack) as admin:
        await admin.delete_records(before)


async def filled(stack: Stack) -> list[str]:
    """Complaints that handling has learned of and opened cases for, and nobody running any more."""
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(COMPLAINTS)]

    async def observed() -> bool:
        return all([(await intake.read(subject)).state.observed.opened == 1 for subject in subjects])

    await eventually(observed)
    await idle(intake, handling)
    await stack.stop(intake)
    await stack.stop(handling)
    return subjects


async def check(stack: Stack, source: str) -> VerifyReport:
    return await verify(described(stack, source), (await stack.database(source)).app_dsn, stack.kafka)


async def schemas(stack: Stack, source: str) -> list[str]:
    owner = await stack.connect(source, owner=True)
    found = [row["nspname"] for row in await owner.fetch(SCHEMAS)]
    await owner.close()
    return found


@pytest.mark.parametrize("leave", [0, 1])
async def test_without_the_logs_start_a_rebuild_refuses_and_verify_says_truncated(stack: Stack, tmp_path: Path, leave: int) -> None:
    await filled(stack)
    before = await states(stack, "handling")
    assert len({row[0] for row in before}) == COMPLAINTS
    await cut(stack, leave=leave)
    with pytest.raises(LogTruncated, match=r"lifecycle\.v1/\d begins at offset \d+ and not at 0.*redress restore-log"):
        await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == before and await schemas(stack, "handling") == ["fold1_1"]
    for source in ("intake", "handling"):
        report = await check(stack, source)
        assert not report.equal and report.lost > 0
        assert {each.where for each in report.differences} == {"log"} and all(
            "begins at offset" in each.what for each in report.differences
        )
        assert all("restore-log" in each.advice and "redress rebuild" not in each.advice for each in report.differences)


async def test_an_operator_may_let_it_go_by_name_and_is_told_what_went(stack: Stack, tmp_path: Path) -> None:
    subjects = await filled(stack)
    await cut(stack)
    own = await rebuild(stack, "handling", tmp_path, accept_loss=True)
    assert (own.lost.subjects, own.lost.versions) == (COMPLAINTS, COMPLAINTS)
    assert set(own.lost.named) <= set(subjects) and f"{COMPLAINTS} versions of {COMPLAINTS} subjects" in str(own.lost)
    owner = await stack.connect("handling", owner=True)
    assert await owner.fetchval("SELECT count(*) FROM fold1_2.state WHERE read <> '{}'") == 0
    await owner.close()


async def test_a_start_that_goes_while_the_rebuild_runs_is_noticed(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(stack)
    before = await states(stack, "handling")
    fill, filling = Filling.fill, iter(range(99))

    async def cut_before_the_last(self: Filling, *args: Any) -> Any:
        if next(filling) == 1:
            await cut(stack)
        return await fill(self, *args)

    monkeypatch.setattr(Filling, "fill", cut_before_the_last)
    with pytest.raises(LogTruncated, match="has no offset 0"):
        await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == before


async def test_a_cut_while_verify_reads_is_no_equality(stack: Stack) -> None:
    await filled(stack)
    told: list[asyncio.Task[None]] = []

    async def verified_while_cut() -> VerifyReport:
        def progress(what: str, own: int, every: int) -> None:
            if what == "state" and not told:
                told.append(asyncio.create_task(cut(stack)))

        check = whole_log.ahead

        async def after_the_cut(*args: Any) -> AsyncIterator[Any]:
            if told:
                await told[0]
            async for records in check(*args):
                yield records

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("redress_spine.admin.verify.ahead", after_the_cut)
            return await verify(described(stack, "handling"), (await stack.database("handling")).app_dsn, stack.kafka, progress)

    report = await verified_while_cut()
    assert not report.equal and any("was cut while it was read" in each.what for each in report.differences)


async def test_the_public_topic_must_have_its_start_too(stack: Stack) -> None:
    callback = await stack.engine("callback")
    async with pen(stack) as hand:
        await hand.write(*Author(subject_of(1)).say(registered()))
        await eventually(lambda: read_all(callback))
        await hand.write(*Author(subject_of(1)).say(registered()), topic=CLOSED)
    await stack.stop(callback)
    await cut(stack, CLOSED)
    report = await check(stack, "callback")
    assert [(each.which, "begins at offset 1" in each.what) for each in report.differences] == [(f"{stack.prefix}{CLOSED}/0", True)]
    assert (await check(stack, "handling")).equal, "only its writer tells of the public topic"


async def read_all(engine: Any) -> bool:
    return bool((await engine.idle()).lag == 0)


async def test_a_topic_that_was_made_anew_takes_no_state_away_and_is_taken_once_all_is_on_it_again(stack: Stack, tmp_path: Path) -> None:
    subjects = await filled(stack)
    before = await states(stack, "handling")
    await made_anew(stack, LIFECYCLE)
    report = await check(stack, "handling")
    assert not report.equal and any("though it was read up to" in each.what for each in report.differences)
    with pytest.raises(WouldLose, match=rf"{COMPLAINTS} versions of {COMPLAINTS} subjects: complaint/.* --accept-loss handling"):
        await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == before
    for source in ("intake", "handling"):
        owner = await stack.connect(source, owner=True)
        await owner.execute("UPDATE relay_checkpoint SET transaction_id = '0', global_position = 0")
        await owner.close()
    intake, handling = await stack.engine("intake"), await stack.engine("handling", automations=[])

    async def sent() -> bool:
        return len(await on_the_log(stack, LIFECYCLE, stack.partitions)) == 2 * COMPLAINTS

    await eventually(sent)
    await stack.stop(intake)
    await stack.stop(handling)
    for source in ("handling", "intake"):
        assert not (await rebuild(stack, source, tmp_path)).lost
        await verified(stack, source)
    assert [row[:1] + row[2:4] for row in await states(stack, "handling")] == [row[:1] + row[2:4] for row in before]
    assert {row[0] for row in before} == set(subjects)


async def test_a_topic_that_was_made_anew_and_has_outgrown_what_was_read_is_told_by_verify(stack: Stack) -> None:
    await filled(stack)
    ends = Counter(record.partition for record in await on_the_log(stack, LIFECYCLE, stack.partitions))
    await made_anew(stack, LIFECYCLE)
    others = [Author(subject_of(n)).say(registered()) for n in range(1_000, 1_200)]
    async with pen(stack) as hand:
        await asyncio.gather(*(hand.write(*records) for records in others))
    again = Counter(record.partition for record in await on_the_log(stack, LIFECYCLE, stack.partitions))
    assert all(again[partition] > end for partition, end in ends.items())
    for source in ("handling", "intake"):
        report = await check(stack, source)
        told = {each.which: each.advice for each in report.differences if "this one created later" in each.what}
        assert set(told) == {f"{stack.prefix}{LIFECYCLE}/{partition}" for partition in ends} and not report.equal
        assert all("restore-log" in advice for advice in told.values())


async def test_a_topic_that_is_made_anew_while_a_rebuild_runs_is_not_swapped_in(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(stack)
    before = await states(stack, "handling")
    redrive, anew = Rebuild._redrive_as_there, list[str]()

    async def after_it_is_another(self: Rebuild, *args: Any) -> Any:
        if not anew:
            await made_anew(stack, LIFECYCLE)
            anew.append("made")
        return await redrive(self, *args)

    monkeypatch.setattr(Rebuild, "_redrive_as_there", after_it_is_another)
    with pytest.raises(LogTruncated, match="was recreated meanwhile"):
        await rebuild(stack, "handling", tmp_path)
    assert anew and await states(stack, "handling") == before


async def test_what_the_live_state_has_read_since_it_was_compared_is_looked_at_under_the_locks(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new state folds less than the live one: its fold of one event fails, which is read after the states were compared."""
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, second = author.say(registered(), ComplaintChased(chase=1))
    swap = Rebuild._swap
    tried: list[Any] = []
    async with pen(stack) as hand:
        await hand.write(first)
        await eventually(lambda: read_all(handling))

        async def after_one_more(self: Rebuild, *args: Any) -> float:
            if not tried:
                tried.append(1)
                await hand.write(second)
                await eventually(lambda: read_all(handling))

                monkeypatch.setattr(
                    "redress_spine.store.fold.Folding._observe", lambda self, item, event: self.park(item.record, "fold-failed", "")
                )
            return await swap(self, *args)

        monkeypatch.setattr(Rebuild, "_swap", after_one_more)
        with pytest.raises(WouldLose, match=f"1 versions of 1 subjects: {author.subject}"):
            await rebuild(stack, "handling", tmp_path)
    assert tried and await schemas(stack, "handling") == ["fold1_1", "fold1_2"]


async def test_what_waits_in_the_live_state_alone_is_no_less_lost_than_what_it_has_folded(stack: Stack, tmp_path: Path) -> None:
    """The log lost its end: what was parked from there is in no state that is made of it."""
    handling = await stack.engine("handling", automations=[])
    author = Author(subject_of(1))
    first, _missing, *waiting = author.say(registered(), *(ComplaintChased(chase=n) for n in (1, 2, 3)))

    async def parked() -> bool:
        return [each.records for each in await handling.parking.subjects()] == [2]

    async with pen(stack) as hand:
        await hand.write(first, *waiting)
        await eventually(parked)
        await stack.stop(handling)
        before = await states(stack, "handling")
        assert not (await rebuild(stack, "handling", tmp_path)).lost, "it waits in both"
        await made_anew(stack, LIFECYCLE)
        await hand.write(first)
        with pytest.raises(WouldLose, match=f"0 rows and 2 versions of 1 subjects: {author.subject}"):
            await rebuild(stack, "handling", tmp_path)
        assert await states(stack, "handling") == before
        await hand.write(*waiting)
        assert not (await rebuild(stack, "handling", tmp_path)).lost


@pytest.mark.parametrize("back", [True, False], ids=["and comes back", "and stays away"])
@pytest.mark.parametrize("when", ["fill", "follow", "swap"])
async def test_kafka_killed_during_a_rebuild_ends_it_with_an_error_or_it_goes_on(
    own_stack: Stack,
    own_kafka: Kafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    back: bool,
) -> None:
    stack = own_stack
    await filled(stack)
    before = await states(stack, "handling")
    killed, usual = list[Any](), whole_log.SILENCE
    place = {"fill": (Filling, "fill"), "follow": (Rebuild, "_follow_and_swap"), "swap": (Rebuild, "_swap")}[when]
    there = getattr(*place)

    async def without_kafka(self: Any, *args: Any) -> Any:
        if not killed:
            killed.append(when)
            await asyncio.to_thread(own_kafka.kill)
            if back:
                starting.append(asyncio.create_task(asyncio.to_thread(own_kafka.start)))
            else:
                monkeypatch.setattr(whole_log, "SILENCE", 2.0)
        return await there(self, *args)

    starting: list[asyncio.Task[None]] = []
    monkeypatch.setattr(*place, without_kafka)
    try:
        await rebuild(stack, "handling", tmp_path)
    except (ConnectionError, KafkaError, NotSwapped):  # a client that was being made is refused by aiokafka itself
        assert await schemas(stack, "handling") == ["fold1_1", "fold1_2"], "something was swapped"
    assert killed and await states(stack, "handling") == before
    await asyncio.gather(*starting)
    if not back:
        monkeypatch.setattr(whole_log, "SILENCE", usual)
        await asyncio.to_thread(own_kafka.start)
    await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == before
    await verified(stack, "handling")


async def test_losses_are_told_by_their_number_and_a_few_names(stack: Stack) -> None:
    await filled(stack)
    owner = await stack.connect("handling", owner=True)
    await owner.execute(
        "CREATE SCHEMA other; CREATE TABLE other.state (LIKE fold1_1.state INCLUDING DEFAULTS);"
        " CREATE TABLE other.parked (LIKE fold1_1.parked); CREATE TABLE other.dead_letters (LIKE fold1_1.dead_letters)"
    )
    losses = Losses("fold1_1", "other")
    await losses.capture(owner)
    loss = await losses.judge(owner, 2**62)
    assert (loss.rows, loss.versions, loss.subjects, len(loss.named)) == (COMPLAINTS, COMPLAINTS, COMPLAINTS, 5)
    assert str(loss).endswith(f" and {COMPLAINTS - 5} more")
    await owner.execute("INSERT INTO other.state (subject, partition, read, own) SELECT subject, partition, read, own FROM fold1_1.state")
    assert not await losses.judge(owner, 2**62)
    await owner.close()
