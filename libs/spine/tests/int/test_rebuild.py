"""A rebuild comes to the same state while traffic goes on: no read fails, no own event is lost, and a killed run harms nothing.

Long, for each moment at which something may come between is a test, and all compare the same states afterwards.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import spine_log
import spine_stack
from aiokafka import TopicPartition
from spine_log import Author, Sent, described, idle, pen, rebuild, states, subject_of, verified, whole
from spine_stack import HANDLING_AGGREGATE, OPEN, Observed, Stack, Toy, eventually, metadata, open_case, registered

from redress_events.contracts.handling import ProgressReported
from redress_events.contracts.intake import ComplaintChased
from redress_events.event import Event
from redress_spine.admin import rebuild as rebuild_module
from redress_spine.admin.filling import FillingPlan
from redress_spine.admin.filling_process import FillingProcess
from redress_spine.admin.rebuild import NotSwapped, Rebuild, RebuildRunning
from redress_spine.admin.verify import verify
from redress_spine.aggregate import Context
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.processing.clock import wall_clock
from redress_spine.processing.parking import SkippedRecord
from redress_spine.store.engine import Engine, Unknown


async def chase(engine: Engine, subject: str) -> None:
    await engine.decide(subject, lambda state, context: [ComplaintChased(chase=state.own.chases + 1, text="and now?")], metadata())


@pytest.mark.parametrize("processes", [0, 1, 5], ids=["alone", "with another process", "by more processes than partitions"])
async def test_it_comes_to_the_same_state_byte_for_byte(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(rebuild_module, "worth", lambda records: processes)
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(30)]
    await asyncio.gather(*(chase(intake, subject) for subject in subjects[:10]))
    await idle(intake, handling)
    for source in ("intake", "handling"):

        async def all_there(source: str = source) -> bool:
            """A row, an entry for its case, and ten for a chase."""
            return len(await states(stack, source)) == 30 + 30 + 10

        await eventually(all_there)  # a replica that has yet to join its group has nothing to read
        before = await whole(stack, source)
        told: list[str] = []
        report = await rebuild(stack, source, tmp_path, progress=lambda what, *_, told=told: told.append(what))
        assert await whole(stack, source) == before and report.states == 30 and report.schema == "fold1_2" and "log" in told
        assert (await verify(described(stack, source), (await stack.database(source)).app_dsn, stack.kafka)).equal
    await chase(intake, subjects[0])  # the running engine goes on, on the new schema
    assert (await intake.read(subjects[0])).state.own.chases == 2
    assert await intake.open(subjects[0], ["intake/1/text"]) == {"intake/1/text": "no signal since Sunday"}
    assert (await intake.health()).ready


async def test_a_record_whose_fold_cannot_be_stored_waits_as_in_the_live_state(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next record's fold would mend it: nobody comes so far."""
    right = HANDLING_AGGREGATE.observe

    def wrong(observed: Observed, event: Event, at: datetime) -> Observed:
        found: Observed = right(observed, event, at)
        if not isinstance(event, ComplaintChased):
            return found
        unstorable: Any = "two"
        return replace(found, chases=unstorable if event.chase == 2 else event.chase)

    broken = replace(HANDLING_AGGREGATE, observe=wrong)
    monkeypatch.setattr(spine_stack, "HANDLING_AGGREGATE", broken)
    monkeypatch.setattr(spine_log, "HANDLING_AGGREGATE", broken)
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    bad, good = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(2)]
    for subject, times in ((bad, 3), (good, 1)):
        for _ in range(times):
            await chase(intake, subject)
    await idle(intake, handling)

    async def all_there() -> bool:
        return len(await parked_rows(stack)) == 2 and (await handling.read(good)).state.observed.chases == 1

    await eventually(all_there)
    before, waiting = await whole(stack, "handling"), await parked_rows(stack)
    assert [(subject, reason) for subject, reason, _ in waiting] == [(bad, "fold-failed"), (bad, "behind")]
    await rebuild(stack, "handling", tmp_path)
    assert (await whole(stack, "handling"), await parked_rows(stack)) == (before, waiting)


async def parked_rows(stack: Stack) -> list[tuple[Any, ...]]:
    connection = await stack.connect("handling", owner=True)
    live = await connection.fetchval("SELECT schema FROM live")
    rows = await connection.fetch(f'SELECT subject, reason, "offset" FROM {live}.parked ORDER BY "offset"')
    await connection.close()
    return [tuple(row) for row in rows]


async def test_no_read_fails_and_no_own_event_is_lost_while_traffic_goes_on(stack: Stack, tmp_path: Path) -> None:
    intake, handling = await stack.engine("intake"), await stack.engine("handling")
    subjects = [(await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}")))[0].subject for n in range(20)]
    own, said = asyncio.Event(), dict.fromkeys(subjects, 0)

    async def customer(mine: list[str]) -> None:
        while not own.is_set():
            for subject in mine:
                await chase(intake, subject)
                said[subject] += 1
                assert (await intake.read(subject)).state.own.chases == said[subject]

    customers = [asyncio.create_task(customer(subjects[n::4])) for n in range(4)]
    for _ in range(3):
        for source in ("intake", "handling"):
            await rebuild(stack, source, tmp_path)
    own.set()
    await asyncio.gather(*customers)
    await idle(intake, handling)
    for subject in subjects:
        assert (await intake.read(subject)).state.own.chases == said[subject]
        assert (await handling.read(subject)).state.observed.chases == said[subject]
    for source in ("intake", "handling"):
        report = await verify(described(stack, source), (await stack.database(source)).app_dsn, stack.kafka)
        assert report.equal, report.differences
    connection = await stack.connect("intake", owner=True)
    schemas = [row[0] for row in await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'fold%' ORDER BY 1")]
    await connection.close()
    assert schemas == ["fold1_4"]


@pytest.mark.parametrize("most", [2, rebuild_module.LAST_ROWS], ids=["more than may be folded under the locks", "few"])
async def test_a_transaction_that_is_open_elsewhere_makes_no_loss_of_what_is_registered_meanwhile(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """It holds the watermark of the whole cluster, and with it what may be folded before the locks."""
    intake = await stack.engine("intake")
    other = await stack.connect("handling", owner=True)
    follow, swap, subjects, swaps = Rebuild._follow_and_swap, Rebuild._swap, list[str](), list[int]()
    await other.execute("BEGIN; SELECT pg_current_xact_id()")

    async def after_some_came(self: Rebuild, *args: Any) -> float:
        subjects.extend([(await intake.create("complaint", lambda context: [registered()], metadata()))[0].subject for _ in range(5)])
        return await follow(self, *args)

    async def counted(self: Rebuild, *args: Any) -> float:
        swaps.append(1)
        return await swap(self, *args)

    monkeypatch.setattr(Rebuild, "_follow_and_swap", after_some_came)
    monkeypatch.setattr(Rebuild, "_swap", counted)
    monkeypatch.setattr(rebuild_module, "LAST_ROWS", most)
    monkeypatch.setattr(rebuild_module, "SWAP_TRIES", 10)
    if most == 2:
        with pytest.raises(NotSwapped, match="once no old transaction is open"):
            await rebuild(stack, "intake", tmp_path)
        assert swaps == [], "commands waited for what could not be"
        ended = asyncio.create_task(_ended(other, 0.2))
        monkeypatch.setattr(rebuild_module, "SWAP_TRIES", 200)
        await rebuild(stack, "intake", tmp_path)
        await ended
    else:
        await rebuild(stack, "intake", tmp_path)
        await _ended(other)
    assert [(await intake.read(subject)).state.own.number for subject in subjects] == ["X"] * len(subjects)
    await idle(intake)
    await verified(stack, "intake")


async def _ended(connection: asyncpg.Connection, after: float = 0.0) -> None:
    await asyncio.sleep(after)
    await connection.execute("COMMIT")
    await connection.close()


def open_and_tell(toy: Toy, context: Context) -> list[Event]:
    """A decision with personal words, that are sealed with the complaint's key."""
    return [*open_case(toy, context), ProgressReported(cycle=1, note="measured")]


@pytest.mark.parametrize("decide", [open_case, open_and_tell])
async def test_work_goes_on_after_the_swap_though_nobody_asks_the_service_anything(
    stack: Stack, tmp_path: Path, decide: Callable[[Toy, Context], list[Event]]
) -> None:
    intake, _handling = await stack.engine("intake"), await stack.engine("handling", automations=[replace(OPEN, decide=decide)])
    await intake.create("complaint", lambda context: [registered()], metadata("before"))

    async def opened(wanted: int) -> bool:  # by a connection of its own: a question to the engine would tell it of the swap
        rows = await states(stack, "handling")
        return [row[-1] for row in rows].count('{"opened": 1}') == wanted

    await eventually(lambda: opened(1))
    await rebuild(stack, "handling", tmp_path)
    await intake.create("complaint", lambda context: [registered()], metadata("after"))
    await eventually(lambda: opened(2), within=10)
    owner = await stack.connect("handling", owner=True)
    assert await owner.fetchval("SELECT count(*) FROM fold1_2.row_errors") == 0
    await owner.close()


async def test_after_the_swap_the_pulse_goes_on_and_nobody_is_told_of_an_error_who_asks_for_what_is_not_there(
    stack: Stack, tmp_path: Path
) -> None:
    handling = await stack.engine("handling", automations=[])

    async def beats(since: float) -> bool:
        return handling.watch._all_read_at.get(handling._places[0], 0.0) > since

    await eventually(lambda: beats(0.0))
    await rebuild(stack, "handling", tmp_path)
    swapped = wall_clock().timestamp()
    await eventually(lambda: beats(swapped))
    (pulse,) = (each for each in handling._tasks if each.get_name() == "handling-pulse")
    pulse.cancel()
    await asyncio.wait({pulse})
    await rebuild(stack, "handling", tmp_path)
    await handling._database.reads.expire_connections()  # as after a minute without a question
    with pytest.raises(Unknown):
        await handling.read(subject_of(1))


async def test_a_run_that_is_killed_anywhere_harms_nothing(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    for n in range(10):
        await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}"))
    await idle(intake)

    async def ready() -> bool:
        return (await intake.health()).ready

    await eventually(ready)  # its watch notes a moment later that all is read
    before = await states(stack, "intake")

    class Killed(BaseException):
        pass

    for step in range(4):
        steps = iter(range(100))

        def die(what: str, *_: int, step: int = step, steps: Any = steps) -> None:
            if next(steps) == step:
                raise Killed(what)

        with pytest.raises(Killed):
            await rebuild(stack, "intake", tmp_path, progress=die)
        assert await states(stack, "intake") == before
        assert (await intake.health()).ready
    report = await rebuild(stack, "intake", tmp_path)
    assert await states(stack, "intake") == before and report.schema == "fold1_6"


async def test_a_process_that_dies_while_it_fills_ends_the_rebuild_and_harms_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = await stack.engine("intake")
    for n in range(8):
        await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}"))
    await idle(intake)
    before = await states(stack, "intake")
    monkeypatch.setattr(rebuild_module, "worth", lambda records: 1)
    begin = FillingProcess.plan

    def begin_and_die(self: FillingProcess, plan: FillingPlan) -> None:
        begin(self, plan)
        self.end()

    with monkeypatch.context() as patch:
        patch.setattr(FillingProcess, "plan", begin_and_die)
        with pytest.raises(ChildProcessError, match="ended with -9"):
            await rebuild(stack, "intake", tmp_path)
    assert await states(stack, "intake") == before
    await rebuild(stack, "intake", tmp_path)
    assert await states(stack, "intake") == before


async def test_what_goes_wrong_in_another_process_is_raised_here(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is not there, as when somebody dropped it."""
    intake = await stack.engine("intake")
    for n in range(20):  # in all partitions
        await intake.create("complaint", lambda context: [registered()], metadata(f"k{n}"))
    await idle(intake)
    monkeypatch.setattr(rebuild_module, "worth", lambda records: 1)
    begin = FillingProcess.plan
    monkeypatch.setattr(FillingProcess, "plan", lambda self, plan: begin(self, replace(plan, schema="nowhere")))
    with pytest.raises(asyncpg.UndefinedTableError, match="does not exist"):
        await rebuild(stack, "intake", tmp_path)


async def test_a_process_that_cannot_begin_says_why(stack: Stack) -> None:
    service, nowhere = described(stack, "intake"), "postgresql://nobody@127.0.0.1:1/nowhere"
    process = FillingProcess(service)
    try:
        process.plan(FillingPlan(service, nowhere, KafkaClients.of(stack.kafka), "nowhere", {}, {}, {}, 0, None))
        with pytest.raises(ConnectionRefusedError):
            await process.fill(TopicPartition("nowhere", 0), [bytes(5_000_000)])  # more than a pipe holds
    finally:
        process.end()


async def test_a_process_ends_with_the_one_that_began_it(stack: Stack, tmp_path: Path) -> None:
    begun = """if True:
        import pathlib, pickle, sys, time
        from redress_spine.admin.filling_process import FillingProcess
        sys.path[:0] = sys.argv[2:]
        process = FillingProcess(pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()))
        print(process._process.pid, flush=True)
        time.sleep(600)
    """
    service = tmp_path / "service"
    service.write_bytes(pickle.dumps(described(stack, "intake")))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", begun, service, *sys.path, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    os.kill(child, 0)  # it is there
    parent.kill()
    await parent.wait()

    async def gone() -> bool:
        try:
            return "\nState:\tZ" in Path(f"/proc/{child}/status").read_text()  # nobody has asked after it yet
        except FileNotFoundError:
            return True

    await eventually(gone)


async def test_two_at_a_time_are_refused(stack: Stack, tmp_path: Path) -> None:
    await stack.engine("intake")
    owner = await stack.connect("intake", owner=True)
    assert await owner.fetchval("SELECT pg_try_advisory_lock(hashtext('redress-rebuild'))")
    with pytest.raises(RebuildRunning):
        await rebuild(stack, "intake", tmp_path)
    await owner.close()


async def test_another_fold_leaves_old_code_behind(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    await intake.create("complaint", lambda context: [registered()], metadata("k"))
    await idle(intake)
    report = await rebuild(stack, "intake", tmp_path, fold=2)
    assert report.schema == "fold2_1"

    async def behind() -> bool:
        return not (await intake.health()).ready

    await eventually(behind)


@pytest.mark.parametrize("when", ["after the fill", "before the locks"])
async def test_what_operators_do_meanwhile_is_done_in_the_new_state_too(
    stack: Stack, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handling = await stack.engine("handling", automations=[])
    gap, broken, both = (Author(subject_of(n)) for n in range(3))
    missing = []
    async with pen(stack) as hand:
        for author in (gap, broken, both):
            first, second, *rest = author.say(registered(), *(ComplaintChased(chase=n) for n in range(1, 5)))
            if author is not gap:
                await hand.write(first, second, replace(rest[0], value=b"{"), *rest)
            else:
                await hand.write(first, *rest)
                missing.append(second)
            if author is both:  # behind the first bad one there is another
                (last,) = author.say(ComplaintChased(chase=5))
                await hand.write(replace(last, value=b"["), last)
        await eventually(lambda: reads_parked(handling, 3))
        await hand.write(*missing, Sent(b"order/1", b"{}", partition=0))
    await idle(handling)
    own: list[str] = []

    async def operate() -> None:
        if not own:
            own.append(when)
            assert (await handling.redrive(gap.subject)).left == 0
            assert (await handling.parking.skip(broken.subject, "ops", "not JSON")).left == 0
            assert (await handling.parking.skip(both.subject, "ops", "not JSON")).left == 2
            (aside,) = await handling.parking.dead_letters()
            dead_letters = SkippedRecord(
                aside.topic, aside.partition, aside.offset, bytes.fromhex(aside.content), bytes.fromhex(aside.hash), aside.event
            )
            assert (await handling.pass_over([dead_letters], "ops", "not ours")).settled == 1

    place = {"after the fill": "_follow_and_swap", "before the locks": "_swap"}[when]
    there = getattr(Rebuild, place)

    async def going_on(self: Rebuild, *args: Any) -> Any:
        await operate()
        return await there(self, *args)

    monkeypatch.setattr(Rebuild, place, going_on)
    await rebuild(stack, "handling", tmp_path)
    rebuilt = await states(stack, "handling")
    assert own and {row[0]: row[2] for row in rebuilt} == {gap.subject: False, broken.subject: False, both.subject: True}
    assert [(await handling.read(each.subject)).state.observed.chases for each in (gap, broken, both)] == [4, 4, 4]
    assert (await handling.parked())[1] == []
    await eventually(lambda: nothing_unread(handling))
    await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == rebuilt


async def reads_parked(engine: Engine, many: int) -> bool:
    return len(await engine.parking.subjects()) == many


async def nothing_unread(engine: Engine) -> bool:
    return (await engine.idle()).lag == 0
