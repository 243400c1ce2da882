"""The audit trail: what binds a record to the one before, what is found when somebody changed them, and one writer under failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from redress_spine.admin.audit import AuditReport, Check, Head, exported, imported
from redress_spine.store import audit
from redress_spine.store.audit import Chain, Link, Trail, audit_key, genesis, hash_of, mac_of
from redress_spine.store.errors import Unavailable

MASTER, OTHER = bytes(range(32)), bytes(32)
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def chain(records: int = 3, heads: Sequence[tuple[UUID, int, bytes]] = (), master: bytes = MASTER) -> list[Link]:
    made = Chain("jar", audit_key(master), NOW)
    said = [{"kind": "reading", "at": audit.stamp(NOW), "subjects": {f"note/{n}": ["jar/1/text"]}} for n in range(records)]
    return made.links([made.begun(heads), *said])


def head(links: Sequence[Link]) -> tuple[UUID, int, bytes]:
    return links[-1].writer, links[-1].number, links[-1].hash


def checked(*chains: Sequence[Link], masters: Sequence[bytes] = (MASTER,), heads: Sequence[Head] = ()) -> AuditReport:
    check = Check("jar", masters, heads)
    links = sorted((link for each in chains for link in each), key=lambda link: (link.writer, link.number))
    check.name([link for link in links if link.number <= 2])
    for link in links:
        said = json.loads(link.record)
        check.take(link, datetime.fromisoformat(said["at"]), list(said.get("subjects", {})))
    return check.finish()


def found(*chains: Sequence[Link], **more: Any) -> list[tuple[int, str]]:
    return [(each.number, each.what) for each in checked(*chains, **more).differences]


def test_a_trail_that_nobody_touched_is_whole():
    first = chain()
    report = checked(first, chain(heads=[head(first)]))
    assert report.whole
    assert (report.chains, report.open, report.records, report.kinds["reading"]) == (2, 2, 8, 6)


def test_a_record_that_was_changed_is_found_and_so_is_one_whose_hashes_were_made_anew():
    links = chain()
    links[1] = replace(links[1], record=links[1].record.replace("note/0", "note/9"))
    assert found(links) == [(2, "It was changed, or a record before it was.")]
    anew = hash_of(links[0].hash, 2, links[1].record)
    links[1] = replace(links[1], hash=anew, mac=mac_of(audit_key(OTHER), anew))
    assert found(links) == [
        (2, "It was not written by this service: its MAC is wrong."),
        (3, "It was changed, or a record before it was."),
    ]


def test_without_the_master_key_the_chain_is_compared_and_its_macs_are_not():
    links = chain()
    links[2] = replace(links[2], mac=bytes(32))
    assert found(links, masters=()) == []
    assert checked(links, masters=()).macs is False
    links[2] = replace(links[2], hash=bytes(32))
    assert [number for number, _ in found(links, masters=())] == [3, 4]


def test_records_that_are_missing_are_counted():
    links = chain(5)
    assert found([*links[:1], *links[2:]]) == [(3, "1 record is missing before it.")]
    assert found([*links[:1], *links[4:]]) == [(5, "3 records are missing before it.")]
    assert found(links[1:])[0] == (2, "1 record is missing before it.")


def test_records_that_stand_twice_or_in_another_order_are_not_counted_as_missing():
    links, check = chain(2), Check("jar", (MASTER,))
    for link in [links[0], links[1], links[1], links[2], links[0]]:
        check.take(link)
    report = check.finish()
    assert [each.number for each in report.differences] == [2, 1]
    assert {each.what.partition(":")[2] for each in report.differences} == {" the lines were doubled, or their order was changed."}
    check = Check("jar", (MASTER,))
    for link in [*links, *chain(), *links]:
        check.take(link)
    assert (
        check.finish().differences[0].what == "Its chain stands here a second time, behind another one: the order of the lines was changed."
    )


def test_of_a_chain_of_which_only_the_number_is_known_the_end_is_missed():
    links = chain()
    told = Head(links[0].writer, 4, None, "jar")
    assert checked(links, heads=[told]).heads == 1
    assert found(links, heads=[told]) == []
    assert found(links[:2], heads=[told])[0][0] == 2
    assert found(heads=[told]) == [(4, "The chain is missing, of which 4 records are known.")]
    wrong = Head(links[0].writer, 4, "00", "jar")
    for both in ([told, wrong], [wrong, told]):
        assert found(links, heads=both) == [(4, "Logs or exports name a different record here.")]


def test_an_end_that_was_cut_off_is_known_from_the_next_chain_and_from_the_log():
    first = chain()
    second = chain(heads=[head(first)])
    cut = "The chain ends here, and had at least 4 records: its end was cut off."
    assert found(first[:2], second) == [(2, cut)]
    assert found(first[:2]) == []
    told = Head(first[0].writer, 4, first[-1].hash.hex(), "jar")
    assert found(first[:2], heads=[told]) == [(2, cut)]
    assert found(first[:2], heads=[told._replace(service="another")]) == []
    assert found(first, heads=[told._replace(hash="00")]) == [(4, "Logs or exports name a different record here.")]


def test_a_chain_that_is_missing_is_known_from_the_next_one_and_a_pruning_says_that_it_went():
    first = chain()
    second = chain(heads=[head(first)])
    assert found(second) == [(4, "The chain is missing, of which 4 records are known.")]
    pruning = Chain("jar", audit_key(MASTER), NOW)
    writer, number, hash = head(first)
    pruned = {"kind": "pruned", "at": audit.stamp(NOW), "chains": {str(writer): [number, hash.hex()]}}
    links = pruning.links([pruning.begun([]), pruned])
    assert found(second, links) == []
    forged = replace(links[1], mac=bytes(32))
    assert sorted(found(second, [links[0], forged]))[-1] == (4, "The chain is missing, of which 4 records are known.")


def test_a_chain_under_another_master_key_asks_for_that_key():
    links = chain(master=OTHER)
    assert [number for number, _ in found(links)] == [1]
    assert "--master-key" in found(links)[0][1]
    assert found(links, masters=(MASTER, OTHER)) == []


def test_a_chain_has_a_beginning():
    made = Chain("jar", audit_key(MASTER), NOW)
    links = made.links([{"kind": "reading", "at": audit.stamp(NOW), "subjects": {}}])
    assert (1, "It is not the beginning of a chain.") in found(links)
    assert genesis(links[0].writer) != genesis(chain()[0].writer)


def test_columns_beside_the_record_are_compared_with_it():
    link = chain(0)[0]
    for at, subjects in ((NOW, ["note/1"]), (NOW + timedelta(seconds=1), [])):
        check = Check("jar", [MASTER])
        check.take(link, at, subjects)
        assert "columns" in check.finish().differences[0].what


def test_an_exported_line_is_the_link_again():
    for link in chain():
        assert imported(exported(link)) == link
    with pytest.raises(ValueError, match="not a line of an exported"):
        imported(b'{"event": "request"}')


class Table:
    """Stands in for the connection and its table. fails: raised by the next statement; kept: whether it was carried out all the same."""

    def __init__(self) -> None:
        self.rows: dict[tuple[UUID, int], Link] = {}
        self.statements = 0
        self.fails: Exception | None = None
        self.kept = False
        self.held = asyncio.Event()
        self.held.set()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Table]:
        yield self

    async def fetch(self, _: str, most: int) -> list[tuple[UUID, int, bytes]]:
        newest = {link.writer: link for link in self.rows.values()}
        return [(link.writer, link.number, link.hash) for link in newest.values()][:most]

    async def fetchval(self, _: str, writer: UUID, number: int) -> bytes | None:
        link = self.rows.get((writer, number))
        return link.hash if link else None

    async def execute(self, _: str, writer: UUID, *columns: Sequence[Any]) -> None:
        await self.held.wait()
        self.statements += 1
        links = {(writer, number): Link(writer, number, *rest) for number, *rest in zip(*columns, strict=True)}
        if self.rows.keys() & links.keys():
            raise asyncpg.UniqueViolationError("audit_pkey")
        failure, self.fails = self.fails, None
        if failure is None or self.kept:
            self.rows |= links
        if failure is not None:
            raise failure

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(link.record) for link in self.rows.values()]

    def whole(self) -> AuditReport:
        return checked(list(self.rows.values()))


def reading(n: int) -> dict[str, Any]:
    return {"kind": "reading", "who": "alice", "subjects": {f"note/{n}": ["jar/1/text"]}}


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def trail(table: Table) -> Trail:
    return Trail("jar", MASTER, table.lent)


async def test_records_that_come_while_one_is_written_share_a_statement_and_each_waits_for_its_own(trail: Trail, table: Table):
    table.held.clear()
    first = asyncio.create_task(trail.record(reading(0)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(trail.record(reading(n))) for n in range(1, 40)]
    await asyncio.sleep(0.01)
    assert not any(each.done() for each in (first, *others))
    table.held.set()
    await asyncio.gather(first, *others)
    assert table.statements == 2
    assert [each.get("subjects") for each in table.said()[1:]] == [{f"note/{n}": ["jar/1/text"]} for n in range(40)]
    assert table.whole().whole


@pytest.mark.parametrize("kept", [True, False])
async def test_after_a_statement_of_which_nobody_knows_the_chain_goes_on_where_it_is(trail: Trail, table: Table, kept: bool):
    await trail.record(reading(0))
    table.fails, table.kept = Unavailable("away"), kept
    with pytest.raises(Unavailable):
        await trail.record(reading(1))
    await trail.record(reading(2))
    assert len(table.rows) == (4 if kept else 3)
    assert (table.whole().whole, table.whole().chains) == (True, 1)


async def test_a_statement_that_was_carried_out_late_begins_another_chain(trail: Trail, table: Table):
    await trail.record(reading(0))
    last = list(table.rows.values())[-1]
    table.rows[last.writer, 3] = Link(last.writer, 3, "{}", bytes(32), bytes(32))
    await trail.record(reading(1))
    assert len({writer for writer, _ in table.rows}) == 2


async def test_a_process_that_ends_says_so_and_its_log_names_the_end(trail: Trail, table: Table, monkeypatch: pytest.MonkeyPatch):
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(audit.log, "info", lambda event, **fields: told.append({"event": event, **fields}), raising=False)
    await trail.end()
    assert (table.rows, told) == ({}, [])
    await trail.record(reading(0))
    await trail.end()
    last = list(table.rows.values())[-1]
    assert [each["kind"] for each in table.said()] == ["begun", "reading", "ended"]
    assert [(each["event"], each["writer"], each["number"], each["hash"]) for each in told] == [
        ("audit-head", str(last.writer), 3, last.hash.hex())
    ]
    assert table.whole().open == 0


async def test_a_chain_that_is_a_day_old_ends_and_the_next_one_names_it(trail: Trail, table: Table, monkeypatch: pytest.MonkeyPatch):
    await trail.record(reading(0))
    monkeypatch.setattr(audit, "CHAIN_LASTS", timedelta(0))
    await trail._turn()
    await trail.record(reading(1))
    report = table.whole()
    assert (report.whole, report.chains, report.open) == (True, 2, 1)
    last = list(table.rows.values())[2]
    assert table.said()[3]["heads"] == {str(last.writer): [3, last.hash.hex()]}


async def test_what_comes_without_end_is_counted_and_written_at_the_next_turn(trail: Trail, table: Table):
    for n in range(3 * audit.TALLIES):
        trail.tally({"kind": "refusal", "code": "no-token", "address": f"10.0.0.{n % (2 * audit.TALLIES)}"})
    assert table.rows == {}
    await trail._turn()
    said = table.said()[1:]
    assert len(said) <= audit.TALLIES + 1
    assert sum(each["count"] for each in said) == 3 * audit.TALLIES
    assert next(each for each in said if each["address"] is None)["count"] == audit.TALLIES
