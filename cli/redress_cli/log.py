"""Read the log: `tail` shows events as they happen, `timeline` one complaint's from its first to its last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from redress_cli.api import Api, NoAnswer
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.held import ParkedRow, parked_of, place_of
from redress_cli.installation import Installation, known
from redress_cli.log_reading import events, events_over_http
from redress_cli.subjects import subject_of
from redress_cli.target import ContextName, StackFolder, installation
from redress_spine.messaging.envelope import Envelope

COLOURS = {"intake": "cyan", "triage": "magenta", "handling": "blue", "sla-monitor": "yellow", "callback": "green"}
MASK = "•••"


ThroughService = Annotated[bool, typer.Option("--http", help="Let a service read the log: where Kafka cannot be reached from here.")]


def tail(
    folder: StackFolder = None,
    context: ContextName = None,
    event: Annotated[str | None, typer.Option("--type", help="Only types that contain this: complaint-closed, deadline.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service's events.")] = None,
    complaint: Annotated[str | None, typer.Option(help="Only this complaint: its number or its id.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the first event, not with the next one.")] = False,
    limit: Annotated[int, typer.Option(help="End after so many events; 0: go on until Ctrl-C.", min=0)] = 0,
    over_http: ThroughService = False,
    as_json: AsJson = False,
) -> None:
    """Show events as they happen. Personal data is masked: it is sealed on the log. Where no Kafka is told, a service reads it for us.

    Examples:

        redress tail

        redress tail --type deadline --service sla-monitor

        redress tail --complaint 7K3M-9QX2-V0T --from-start --limit 20

        redress tail --http
    """
    if service:
        known(service)
    where = installation(folder, context)
    subject = subject_of(where, complaint) if complaint else None

    def wanted(envelope: Envelope) -> bool:
        return (
            (not event or event in envelope.type)
            and (not service or service == envelope.source)
            and (not subject or subject.partition("/")[2] in envelope.subject)
        )

    shown = 0

    def enough(envelope: Envelope) -> bool:
        nonlocal shown
        if wanted(envelope):
            print_json(envelope) if as_json else out.print(line(envelope))
            shown += 1
        return bool(limit) and shown >= limit

    async def follow() -> None:
        async for envelope in events(where, subject, from_start=from_start, follow=True):
            if enough(envelope):
                return

    if not as_json:
        err.print("Waiting for events; Ctrl-C ends it.", style="dim")
    if over_http or not where.has_kafka:
        with interruptible():
            any(map(enough, events_over_http(where, subject, from_start=from_start, follow=True)))
    else:
        run(follow())


def timeline(
    number: Annotated[str, typer.Argument(help="The complaint's number, or its id.")],
    over_http: ThroughService = False,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that happened to one complaint, and which service said it; then where it is parked, since when, and why. Where no
    Kafka is told, a service reads the log for us; where none can, its stages since the registration are shown, as intake knows them.

    Examples:

        redress timeline 7K3M-9QX2-V0T

        redress timeline 7K3M-9QX2-V0T --http
    """
    where = installation(folder, context)
    subject = subject_of(where, number)
    if over_http or not where.has_kafka:
        try:
            found = list(_once(events_over_http(where, subject, from_start=True, follow=False)))
        except NoAnswer as error:
            err.print(
                harmless(f"The log cannot be read through a service: {error} Here are the stages alone."), style="yellow", markup=False
            )
            _show_stages(where, number, subject, as_json)
        else:
            _show_events(found, number, as_json)
    else:
        try:
            found = run(collected(where, subject))
        except (KafkaError, OSError) as error:
            fail(f"Kafka cannot be read from here: {type(error).__name__}: {error}. Through a service: redress timeline {number} --http")
        _show_events(found, number, as_json)
    if any(where.urls.values()):
        _show_parked(where, subject, as_json)


def _show_events(found: list[Envelope], number: str, as_json: bool) -> None:
    if not found:
        fail(f"The log has no event about {number}.")
    if as_json:
        for envelope in found:
            print_json(envelope)
    else:
        out.print(timeline_table(found, f"Complaint {number}"))


def _once(found: Iterable[Envelope]) -> Iterable[Envelope]:
    """Each event once: a relay may have sent it twice."""
    seen: set[str] = set()
    for envelope in found:
        if envelope.id not in seen:
            seen.add(envelope.id)
            yield envelope


def _show_parked(where: Installation, subject: str, as_json: bool) -> None:
    """Where a record holds it up, since when and why: what stands behind that record is on the log, and counts for nothing there."""
    parked, unsaid = parked_of(where, subject)
    for service, row in parked.items():
        if as_json:
            out.print_json(data=parked_line(service, row), indent=None)
        else:
            out.print(f"[red]Parked in {service}[/red] since {parked_text(row)}", soft_wrap=True)
    for message in unsaid:
        err.print(harmless(message), style="red", markup=False)


def parked_line(service: str, row: ParkedRow) -> dict[str, Any]:
    return {"parked_in": service} | {name: row[name] for name in ("since", "reason", "detail")} | {"record": place_of(row)}


def parked_text(row: ParkedRow) -> str:
    """To be printed with markup."""
    since = clock_time(datetime.fromisoformat(row["since"]))
    return escape(harmless(f"{since} by {place_of(row)}: {row['reason']}: {row['detail']} ({row['records']} records wait)"))


def _show_stages(where: Installation, number: str, subject: str, as_json: bool) -> None:
    """The first of them first, as a timeline has them."""
    stages = Api(where, "ops").all("intake", f"/complaints/{subject.partition('/')[2]}/stages")[::-1]
    if as_json:
        for each in stages:
            out.print_json(data=each, indent=None)
        return
    table = Table(
        "time",
        "stage",
        "cycle",
        "department",
        title=foreign(f"Complaint {number}, its stages since the registration"),
        title_justify="left",
    )
    for each in stages:
        at = clock_time(datetime.fromisoformat(each["at"]))
        table.add_row(at, *(foreign(each.get(name) or "–") for name in ("stage", "cycle", "department")))
    out.print(table)


def timeline_table(envelopes: list[Envelope], title: str, zone: tzinfo | None = None) -> Table:
    """Time (local unless another zone is named), service, event, its data and who decided it, in the log's order."""
    table = Table(title=foreign(title), title_justify="left", show_lines=False, expand=False)
    for column in ("time", "service", "event", "what", "by"):
        table.add_column(column, overflow="fold", no_wrap=column in ("time", "service"))
    for envelope in envelopes:
        table.add_row(
            clock_time(envelope.time, zone),
            foreign(envelope.source, COLOURS.get(envelope.source, "")),
            foreign(name_of(envelope.type)),
            foreign(what(envelope.data)),
            foreign(envelope.actor),
        )
    return table


async def collected(where: Installation, subject: str) -> list[Envelope]:
    """All events about one complaint, each once, in the log's order."""
    seen: dict[str, Envelope] = {}
    async for envelope in events(where, subject, from_start=True, follow=False):
        if envelope.subject == subject:
            seen.setdefault(envelope.id, envelope)
    return list(seen.values())


def line(envelope: Envelope) -> Text:
    text = Text(clock_time(envelope.time) + " ", style="dim")
    text.append(f"{harmless(envelope.source):<12}", style=COLOURS.get(envelope.source, ""))
    text.append(f"{harmless(name_of(envelope.type)):<24}", style="bold")
    text.append(harmless(envelope.subject.partition("/")[2][-12:]) + " ", style="dim")
    text.append(harmless(what(envelope.data)))
    return text


def what(data: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}={shown(value)}" for name, value in data.items())


def shown(value: Any) -> str:
    if _masked(value):
        return MASK
    if isinstance(value, list):
        return f"[{len(value)}]" if value and isinstance(value[0], dict) else ",".join(map(str, value))
    return str(value)


def _masked(value: Any) -> bool:
    """It is sealed on the log, or a service that read the log for us has masked it."""
    return isinstance(value, str) and value.startswith(("sealed:", "masked:"))


def name_of(kind: str) -> str:
    """`redress.intake.complaint-registered.v1` → `complaint-registered`."""
    name, _, version = kind.split(".", 2)[2].rpartition(".v")
    return name if version == "1" else f"{name} v{version}"


def clock_time(instant: datetime, zone: tzinfo | None = None) -> str:
    return instant.astimezone(zone).strftime("%m-%d %H:%M:%S.%f")[:-3]


def print_json(envelope: Envelope) -> None:
    masked = {name: MASK if _masked(value) else value for name, value in envelope.data.items()}
    out.print_json(
        data={
            "time": envelope.time.isoformat(),
            "service": envelope.source,
            "type": envelope.type,
            "subject": envelope.subject,
            "version": envelope.version,
            "actor": envelope.actor,
            "data": masked,
        },
        indent=None,
    )


def run(work: Any, on_end: Callable[[], None] = lambda: None) -> Any:
    """Run to the end or to Ctrl-C."""
    with interruptible(on_end):
        return asyncio.run(work)


@contextmanager
def interruptible(on_end: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Ctrl-C ends it, and the command."""
    try:
        yield
    except KeyboardInterrupt:
        on_end()
        raise typer.Exit(130) from None
