"""Look after records that could not be folded: show them, redrive them, or decide once, for all services, that they are passed over.

Long, for showing, choosing and deciding use the same few questions to the services, and an operator goes from one to the next.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from redress_cli import subjects
from redress_cli.api import SHORT, Api, NoAnswer, good, of_each
from redress_cli.consent import accountable, ask_whatever
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.held import Held, ParkedRow, RecordFilter, held_by, place_of
from redress_cli.installation import Installation
from redress_cli.target import SERVICE, ContextName, StackFolder, installation
from redress_local.places import SERVICES
from redress_spine.processing.skips import checked_why

WHICH = f"{subjects.WHICH}, or PARTITION:OFFSET"
AT_ONCE = 20  # subjects or records that one request decides on
SHOWN = 200  # rows of a table
NAMED = ("topic", "partition", "offset", "content", "hash", "event")
PLACE = re.compile(r"(?:(?P<topic>[^/]+)/)?(?P<partition>[0-9]{1,9})[:@](?P<offset>[0-9]{1,18})")

Item = TypeVar("Item")


class Operators:
    """What operators ask of several services. One that is away keeps nobody from deciding for the others: it is said, and named at the
    end."""

    def __init__(self, api: Api, services: Sequence[str]) -> None:
        self._api = api
        self._services = list(services)
        self.away: list[str] = []

    @property
    def services(self) -> list[str]:
        return [each for each in self._services if each not in self.away]

    def held(self, wanted: RecordFilter) -> dict[str, Held]:
        """By service: the parked subjects with the record that is in the way, and the records that are set aside."""
        found = {}
        for service in self.services:
            try:
                found[service] = held_by(self._api, service, wanted)
            except NoAnswer as error:
                self._say(service, error)
        return found

    def record(self, service: str, **which: Any) -> ParkedRow | None:
        """The record that is held there, masked; None where none is."""
        try:
            answer = self._api.ask(service, "/ops/record", **which)
            found: ParkedRow | None = None if answer.status_code == 404 else good(service, answer)
        except NoAnswer as error:
            self._say(service, error)
            return None
        return found

    def post(self, service: str, path: str, body: ParkedRow) -> ParkedRow | None:
        try:
            answer: ParkedRow = good(service, self._api.send(service, path, body))
        except NoAnswer as error:
            self._say(service, error)
            return None
        return answer

    def _say(self, service: str, error: NoAnswer) -> None:
        err.print(harmless(error), style="red", markup=False)
        self.away.append(service)


def parked(
    show: Annotated[
        str | None,
        typer.Option(metavar="ID", help=f"Show the record itself: {WHICH}."),
    ] = None,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show parked subjects and records that were set aside, in every service; or one such record, without personal data. All services are
    asked at once, and shown as they answer. Exit code 1 where one does not.

    Examples:

        redress parked

        redress parked --show 7K3M-9QX2-V0T

        redress parked --show 7:4711
    """
    where = installation(folder, context)
    services = where.answering()
    if show is not None:
        _show(Operators(Api(where, "ops", patience=SHORT), services), _known(where, _which(show)), show)
        return
    api = Api(where, "ops", patience=SHORT)
    found: dict[str, Any] = {}
    for service, answer in of_each(services, lambda service: held_by(api, service, RecordFilter())):
        if isinstance(answer, NoAnswer):
            found[service] = {"error": str(answer)}
            err.print(harmless(answer), style="red", markup=False)
            continue
        found[service] = {"parked": answer[0], "dead_letters": answer[1]}
        if not as_json:
            _print_held(service, *answer)
    if as_json:
        out.print_json(data={service: found[service] for service in services})
    if away := [service for service in services if "error" in found[service]]:
        fail(f"What {', '.join(away)} holds is not known. The others are shown.")


def _print_held(service: str, parked: list[ParkedRow], aside: list[ParkedRow]) -> None:
    if not parked and not aside:
        out.print(f"{service}: nothing is parked or set aside.")
        return
    table = Table("service", title=f"Parked in {service}", title_justify="left")
    for column in ("subject", "records", "since", "reason", "first record"):
        table.add_column(column, overflow="fold", min_width=49 if column == "subject" else None)  # it is typed again: never cut
    apart = Table("service", "record", "reason", "what", "since", title=f"Set aside in {service}", title_justify="left")
    for one in parked[:SHOWN]:
        why = f"{one['reason']}: {one['detail']}"
        table.add_row(service, *map(foreign, (one["subject"], one["records"], one["since"], why, place_of(one))))
    for one in aside[:SHOWN]:
        apart.add_row(service, *map(foreign, (place_of(one), one["reason"], one["detail"], one["at"])))
    for shown in (table, apart):
        if shown.row_count:
            out.print(shown)
    for what, rows in (("parked", parked), ("set aside", aside)):
        if len(rows) > SHOWN:
            out.print(f"{service}: {len(rows) - SHOWN} more {what}. Of all {len(rows)}: {_counted(rows)}.", markup=False)


def _show(operators: Operators, which: ParkedRow, what: str) -> None:
    """Where services hold it for different reasons, each tells its own."""
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
    """A place on the log; or a subject, as it was typed. Ends the command for what is neither."""
    place = PLACE.fullmatch(what)
    if place is not None:
        return {"topic": place["topic"], "partition": int(place["partition"]), "offset": int(place["offset"])}
    return {"subject": what if subjects.number_in(what) else subjects.named(what, WHICH)}


def _known(where: Installation, which: ParkedRow) -> ParkedRow:
    """The same, with the subject whose number it is."""
    return which | {"subject": subjects.subject_of(where, which["subject"])} if "subject" in which else which


def redrive(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE] [ID]", help=f"A service; {WHICH}."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked or set aside; in every service, if none is named.")] = False,
    all_services: Annotated[bool, typer.Option("--all-services", help="In every service.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="What is parked for this reason.")] = None,
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="What is blocked by an event of this type.")] = None,
    dead_letters: Annotated[bool, typer.Option("--set-aside", help="Only records that were set aside.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Skip what is in the way permanently, with all its copies.")] = False,
    why: Annotated[
        str | None, typer.Option(help="With --skip: the reason. It is kept permanently in plain text: write nothing about a customer.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --skip: do not ask, whatever the number of records.")] = False,
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
        fail("Say what: a complaint's number or id, another subject's name, PARTITION:OFFSET, --reason, --type, --set-aside, or --all.")
    if skip != bool(why):
        fail("--skip needs --why, and --why needs --skip: both are kept permanently.")
    try:
        why = checked_why(why) if why else None
    except ValueError as error:
        fail(str(error))
    which = _which(id_) if id_ else {}
    where = installation(folder, context)
    chosen = where.chosen(services) if services else where.answering()
    which = _known(where, which)
    place = (which["topic"], which["partition"], which["offset"]) if "partition" in which else None
    wanted = RecordFilter(which.get("subject"), place, reason, type_, dead_letters)
    operators = Operators(Api(where, "ops"), chosen)
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
            out.print(f"{service}: {result['taken']} permanently skipped, {result['settled']} records settled.")
    unread = [service for service, result in results.items() if result["unread"]]
    if unread:
        err.print(f"{', '.join(unread)} has not read all of them yet: run the same command again later.", style="red", markup=False)
    _told_away(operators)
    if unread:
        raise typer.Exit(1)
    if any(result["left"] for result in results.values()):
        fail("Something else is in the way now. See: redress parked")


def _confirm(records: int, wanted: RecordFilter, where: Installation, yes: bool) -> None:
    """One record of a stack of one's own is what was named. More of them go forever only where somebody saw how many."""
    if records and not (where.ours and records == 1 and wanted.one):
        kind = "" if wanted.one else ", and their kind behind them,"
        ask_whatever(f"permanently skip {records} records{kind} ({where.name})", yes)


def _told_away(operators: Operators) -> None:
    if operators.away:
        fail(f"Not done: {', '.join(operators.away)}. Run the same command again once it is up; it changes nothing for the others.")


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
