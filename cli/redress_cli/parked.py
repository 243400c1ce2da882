"""Look after records that could not be folded: show them, redrive them, or decide once, for all services, that they are passed over.

Long, for showing, choosing and deciding use the same few questions to the services, and an operator goes from one to the next.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from redress_cli.api import Api, said
from redress_cli.consent import accountable, ask_whatever
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import Installation
from redress_cli.target import SERVICE, ContextName, StackFolder, installation
from redress_local.places import SERVICES
from redress_spine.messaging.envelope import SUBJECT
from redress_spine.processing.skips import checked_why

PAGE = 200
WHICH = "a complaint's id, another subject's name (subscription/ID), or PARTITION:OFFSET"
AT_ONCE = 20  # subjects or records that one request decides on
SHOWN = 200  # rows of a table
NAMED = ("topic", "partition", "offset", "content", "hash", "event")
PLACE = re.compile(r"(?:(?P<topic>[^/]+)/)?(?P<partition>[0-9]{1,9})[:@](?P<offset>[0-9]{1,18})")

ParkedRow = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class RecordFilter:
    """Which of the records that are in the way: all that every given condition holds for."""

    subject: str | None = None
    place: tuple[str | None, int, int] | None = None
    reason: str | None = None
    type: str | None = None
    aside_alone: bool = False

    @property
    def one(self) -> bool:
        """What is in the way now, and not all that is of a kind."""
        return self.subject is not None or self.place is not None

    def holds(self, row: ParkedRow) -> bool:
        if self.place is not None:
            topic, *place = self.place
            if [row["partition"], row["offset"]] != place or topic not in (None, row["topic"]):
                return False
        return self.reason in (None, row["reason"]) and self.type in (None, row["type"])


class Operators:
    """What operators ask of several services. One that is away keeps nobody from deciding for the others, and is told at the end."""

    def __init__(self, api: Api, services: Sequence[str]) -> None:
        self._api = api
        self._services = list(services)
        self.away: list[str] = []

    @property
    def services(self) -> list[str]:
        return [each for each in self._services if each not in self.away]

    def held(self, wanted: RecordFilter) -> dict[str, tuple[list[ParkedRow], list[ParkedRow]]]:
        """By service: the parked subjects with the record that is in the way, and the records that are set aside."""
        found = {}
        for service in self.services:
            parked, aside = list[ParkedRow](), list[ParkedRow]()
            for page in self._pages(service, wanted):
                parked += [row for row in page["parked"] if wanted.holds(row)] if not wanted.aside_alone else []
                aside += [row for row in page["dead_letters"] if wanted.holds(row)] if wanted.subject is None else []
            if service not in self.away:
                found[service] = parked, aside
        return found

    def _pages(self, service: str, wanted: RecordFilter) -> Iterator[ParkedRow]:
        after, aside_after = "", "/0@0"
        while True:
            answer = self._asked(service, "GET", "/ops/parked", after=after, aside_after=aside_after, subject=wanted.subject)
            if answer is None:
                return
            yield answer
            parked, aside = answer["parked"], answer["dead_letters"]
            if wanted.subject or max(len(parked), len(aside)) < PAGE:
                return
            after = parked[-1]["subject"] if parked else after
            aside_after = place_of(aside[-1]) if aside else aside_after

    def record(self, service: str, **which: Any) -> ParkedRow | None:
        """The record that is held there, masked; None where none is."""
        answer = self._sent(service, lambda: self._api.get(service, "/ops/record", **which))
        return None if answer is None or answer.status_code == 404 else self._body(service, answer)

    def post(self, service: str, path: str, body: ParkedRow) -> ParkedRow | None:
        return self._asked(service, "POST", path, **body)

    def _asked(self, service: str, method: str, path: str, **what: Any) -> ParkedRow | None:
        send = (lambda: self._api.get(service, path, **what)) if method == "GET" else (lambda: self._api.post(service, path, what))
        answer = self._sent(service, send)
        return None if answer is None else self._body(service, answer)

    def _sent(self, service: str, send: Any) -> httpx.Response | None:
        try:
            answer: httpx.Response = send()
        except typer.Exit:  # it was said why
            self.away.append(service)
            return None
        return answer

    def _body(self, service: str, answer: httpx.Response) -> ParkedRow | None:
        if answer.status_code == 200:
            body: ParkedRow = answer.json()
            return body
        err.print(f"{service} answered {answer.status_code}: {said(answer)}", style="red", markup=False)
        self.away.append(service)
        return None


def parked(
    show: Annotated[
        str | None,
        typer.Option(metavar="ID", help=f"Show the record itself: {WHICH}."),
    ] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show parked subjects and records that were set aside, in every service; or one such record, without personal data.

    Examples:

        redress parked

        redress parked --show 0199a3c2-…

        redress parked --show 7:4711
    """
    where = installation(folder, context)
    operators = Operators(Api(where, "ops"), where.services)
    if show is not None:
        _show(operators, show)
        return
    found = operators.held(RecordFilter())
    if as_json:
        out.print_json(data={service: {"parked": parked, "dead_letters": aside} for service, (parked, aside) in found.items()})
    else:
        table = Table("service", title="Parked", title_justify="left")
        for column in ("subject", "records", "since", "reason", "first record"):
            table.add_column(column, overflow="fold", min_width=49 if column == "subject" else None)  # it is typed again: never cut
        aside = Table("service", "record", "reason", "what", "since", title="Set aside", title_justify="left")
        for service, (waits, apart) in found.items():
            for one in waits[:SHOWN]:
                why = f"{one['reason']}: {one['detail']}"
                table.add_row(service, *map(foreign, (one["subject"], one["records"], one["since"], why, place_of(one))))
            for one in apart[:SHOWN]:
                aside.add_row(service, *map(foreign, (place_of(one), one["reason"], one["detail"], one["at"])))
        for shown in (table, aside):
            out.print(shown if shown.row_count else f"{shown.title}: nothing.")
        for service, both in found.items():
            for what, rows in zip(("parked", "set aside"), both, strict=True):
                if len(rows) > SHOWN:
                    out.print(f"{service}: {len(rows) - SHOWN} more {what}. Of all {len(rows)}: {_counted(rows)}.", markup=False)
    _told_away(operators)


def _show(operators: Operators, what: str) -> None:
    """Where services hold it for different reasons, each tells its own."""
    which = _which(what)
    shown = False
    for service in operators.services:
        record = operators.record(service, **which)
        if record is not None:
            out.print(f"{service}: {harmless(record.pop('reason'))}: {harmless(record.pop('detail'))}", markup=False)
            if not shown:
                out.print_json(data=record)
            shown = True
    _told_away(operators)
    if not shown:
        fail(f"No service holds {what}. See: redress parked")


def _which(what: str) -> ParkedRow:
    place = PLACE.fullmatch(what)
    if place is not None:
        return {"topic": place["topic"], "partition": int(place["partition"]), "offset": int(place["offset"])}
    return {"subject": subject_of(what)}


def subject_of(text: str) -> str:
    """The name of a subject, `<kind>/<uuid>`. An id alone is a complaint's."""
    kind, _, identity = text.rpartition("/")
    try:
        subject = f"{kind or 'complaint'}/{UUID(identity)}"
    except ValueError:
        subject = ""
    if not SUBJECT.fullmatch(subject):
        fail(f"{text!r} is none of these: {WHICH}.")
    return subject


def redrive(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE] [ID]", help=f"A service; {WHICH}."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked or set aside; in every service, if none is named.")] = False,
    all_services: Annotated[bool, typer.Option("--all-services", help="In every service.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="What is held for this reason.")] = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="What is held up by an event of this type.")] = None,
    dead_letters: Annotated[bool, typer.Option("--set-aside", help="Only records that were set aside.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Pass over what is in the way for ever, with all its copies.")] = False,
    why: Annotated[str | None, typer.Option(help="With --skip: why. It is kept in clear for ever: nothing of a customer.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --skip: do not ask, however many records it is.")] = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Fold parked and set-aside records in their order, once the cause is gone; or pass over those that can never be folded.

    A decision to skip is about the record's content: it holds for each copy, those that come later too. It may be said again: a service
    that was away takes it then.

    Examples:

        redress redrive triage 0199a3c2-…

        redress redrive intake subscription/0199a3c2-…

        redress redrive --all --dry-run

        redress redrive --all

        redress redrive --reason fork --all-services --skip --why "forged by a test client, ticket 4711"
    """
    alone = context is None and SERVICE in os.environ  # in a service's container there is no other
    services, id_ = _scope(what or [], every=everything or all_services or alone)
    if not (id_ or everything or reason or type_ or dead_letters):
        fail("Say what: a complaint's id, another subject's name, PARTITION:OFFSET, --reason, --type, --set-aside, or --all.")
    if skip != bool(why):
        fail("--skip needs --why, and --why needs --skip: both are kept for ever.")
    try:
        why = checked_why(why) if why else None
    except ValueError as error:
        fail(str(error))
    which = _which(id_) if id_ else {}
    place = (which["topic"], which["partition"], which["offset"]) if "partition" in which else None
    wanted = RecordFilter(which.get("subject"), place, reason, type_, dead_letters)
    where = installation(folder, context)
    operators = Operators(Api(where, "ops"), where.chosen(services))
    told = {"services": operators.services, "which": asdict(wanted), "why": why}
    with nullcontext() if dry_run else accountable("redrive --skip" if why else "redrive", where, **told):
        if why:
            _skip(operators, wanted, why, where, dry_run=dry_run, yes=yes)
        else:
            _redrive(operators, wanted, dry_run=dry_run)


def _scope(what: list[str], *, every: bool) -> tuple[list[str], str | None]:
    """The services, none for all of them, and the subject or place."""
    named = [each for each in what if each in SERVICES]
    ids = [each for each in what if each not in SERVICES]
    if len(ids) > 1 or len(named) > 1:
        fail(f"Name one service and one record at most. Services: {', '.join(SERVICES)}.")
    if not named and not every:
        fail(f"Name a service, or say --all-services. Services: {', '.join(SERVICES)}.")
    return named, ids[0] if ids else None


def _redrive(operators: Operators, wanted: RecordFilter, *, dry_run: bool) -> None:
    """First what was set aside, for parked subjects may wait for it."""
    would = "would be " if dry_run else ""
    left, nothing = Counter[str](), True
    for service, (parked, aside) in operators.held(wanted).items():
        nothing = nothing and not parked and not aside
        if aside:
            taken, stay = _redrive_aside(operators, service, aside, dry_run)
            out.print(f"{service}: {taken} records that were set aside {would}taken in, {stay} cannot be read.")
        folded, still = 0, Counter[str]()
        with _bar() as progress:
            task = progress.add_task(f"{service}: redriving", total=len(parked))
            for some in _some(parked):
                body = {"subjects": [each["subject"] for each in some], "dry_run": dry_run}
                answer = operators.post(service, "/ops/redrive", body)
                if answer is None:
                    break
                folded += sum(each["folded"] for each in answer.values())
                still.update(each["reason"] for each in answer.values() if each["left"])
                progress.advance(task, len(some))
        if parked:
            out.print(
                f"{service}: {len(parked)} subjects: {folded} records {would}settled, {still.total()} stay parked{_by(still)}.",
                markup=False,
            )
        left += still
    if nothing and not operators.away:
        out.print("Nothing of this kind is parked or set aside.")
    _told_away(operators)
    if left and not dry_run:
        fail("What is still in the way: redress parked")


def _redrive_aside(operators: Operators, service: str, rows: list[ParkedRow], dry_run: bool) -> tuple[int, int]:
    taken = stay = 0
    by_place: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        by_place.setdefault((row["topic"], row["partition"]), []).append(row["offset"])
    with _bar() as progress:
        task = progress.add_task(f"{service}: set aside", total=len(rows))
        for (topic, partition), offsets in by_place.items():
            for some in _some(offsets):
                body = {"topic": topic, "partition": partition, "offsets": list(some), "dry_run": dry_run}
                answer = operators.post(service, "/ops/redrive-set-aside", body)
                if answer is None:
                    return taken, stay
                taken, stay = taken + answer["taken_in"], stay + answer["unreadable"]
                progress.advance(task, len(some))
    return taken, stay


def _skip(operators: Operators, wanted: RecordFilter, why: str, where: Installation, *, dry_run: bool, yes: bool) -> None:
    """Of a kind in rounds: behind a record that is passed over may stand the next one."""
    decided: dict[tuple[str, int, str], ParkedRow] = {}
    results = {service: Counter[str]() for service in operators.services}
    while True:
        found = operators.held(wanted)
        rows = [(service, row) for service, both in found.items() for some in both for row in some]
        new = {key: row for _, row in rows if (key := (row["topic"], row["partition"], row["content"])) not in decided}
        if not decided:
            out.print(f"{len(new)} records are in the way: {_counted([row for _, row in rows]) or 'none'}.", markup=False)
            for service, both in found.items():
                if any(both):
                    out.print(f"{service}: {len(both[0])} subjects parked, {len(both[1])} records set aside.")
            if dry_run:
                _told_away(operators)
                return
            _confirm(len(new), wanted, where, yes)
        if not new or (decided and wanted.one):
            break
        decided |= new
        with _bar() as progress:
            task = progress.add_task("passing over", total=len(new) * len(operators.services))
            for some in _some(new.values()):
                for service in operators.services:
                    body = {"records": [{name: row[name] for name in NAMED} for row in some], "why": why}
                    results[service].update(operators.post(service, "/ops/skips", body) or {})
                    progress.advance(task, len(some))
    for service, result in results.items():
        if service not in operators.away and decided:
            out.print(f"{service}: {result['taken']} passed over for ever, {result['settled']} records settled.")
    unread = [service for service, result in results.items() if result["unread"]]
    if unread:
        err.print(f"{', '.join(unread)} has not read all of them yet: say the same again once it has.", style="red", markup=False)
    _told_away(operators)
    if unread:
        raise typer.Exit(1)
    if any(result["left"] for result in results.values()):
        fail("Something else is in the way now. See: redress parked")


def _confirm(records: int, wanted: RecordFilter, where: Installation, yes: bool) -> None:
    """One record of a stack of one's own is what was named. More of them go for ever only where somebody saw how many."""
    if records and not (where.ours and records == 1 and wanted.one):
        kind = "" if wanted.one else ", and their kind behind them,"
        ask_whatever(f"pass over {records} records{kind} for ever ({where.name})", yes)


def _told_away(operators: Operators) -> None:
    if operators.away:
        fail(f"Not done: {', '.join(operators.away)}. Say the same again once it is up; the others lose nothing by it.")


def _some(rows: Iterable[Item]) -> Iterator[list[Item]]:
    """As many at a time as one request takes."""
    left = list(rows)
    for start in range(0, len(left), AT_ONCE):
        yield left[start : start + AT_ONCE]


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True)


def _counted(rows: Sequence[ParkedRow]) -> str:
    """How many for each reason and type."""
    counts = Counter(harmless(f"{row['reason']}{' ' + row['type'] if row['type'] else ''}") for row in rows)
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def _by(still: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {harmless(reason)}' for reason, count in still.most_common())})" if still else ""


def place_of(row: ParkedRow) -> str:
    return f"{row['topic']}/{row['partition']}@{row['offset']}"
