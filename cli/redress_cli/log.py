"""Read the log: `tail` shows events as they happen, `timeline` one complaint's from its first to its last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, tzinfo
from typing import Annotated, Any
from urllib.parse import quote

import typer
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from rich.table import Table
from rich.text import Text

from redress_cli.api import Api, said
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import Installation, known
from redress_cli.target import ContextName, StackFolder, installation
from redress_events.contracts import CONTRACTS
from redress_events.vocabulary import EVENT_TOPICS, LIFECYCLE
from redress_spine.messaging.envelope import Envelope, Malformed, decode
from redress_spine.messaging.mac import NotProved
from redress_spine.messaging.polling import poll
from redress_spine.messaging.records import signer_of
from redress_spine.messaging.relay import close
from redress_spine.messaging.whole_log import RESTORE_LOG, bounds, check_silence, reader, truncated
from redress_spine.processing.clock import monotonic
from redress_spine.store.states import partition_of

COLOURS = {"intake": "cyan", "triage": "magenta", "handling": "blue", "sla-monitor": "yellow", "callback": "green"}
MASK = "•••"
PUBLIC_STREAMS = sorted(
    {(event.topic, event.stream) for contract in CONTRACTS.values() for event in contract.type_of if event.topic != LIFECYCLE}
)


def tail(
    folder: StackFolder = None,
    context: ContextName = None,
    event: Annotated[str | None, typer.Option("--type", help="Only types that contain this: complaint-closed, deadline.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service's events.")] = None,
    complaint: Annotated[str | None, typer.Option(help="Only this complaint: its number or its id.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the first event, not with the next one.")] = False,
    limit: Annotated[int, typer.Option(help="End after so many events; 0: go on until Ctrl-C.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Show events as they happen. Personal data is masked: it is sealed on the log.

    Examples:

        redress tail

        redress tail --type deadline --service sla-monitor

        redress tail --complaint 7K3M-9QX2-V0T --from-start --limit 20
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

    async def follow() -> None:
        shown = 0
        async for envelope in events(where, subject, from_start=from_start, follow=True):
            if wanted(envelope):
                print_json(envelope) if as_json else out.print(line(envelope))
                shown += 1
                if limit and shown >= limit:
                    return

    if not as_json:
        err.print("Waiting for events; Ctrl-C ends it.", style="dim")
    run(follow())


def timeline(
    number: Annotated[str, typer.Argument(help="The complaint's number, or its id.")],
    over_http: Annotated[
        bool, typer.Option("--http", help="Ask intake for the complaint's stages: where Kafka cannot be reached from here.")
    ] = False,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that happened to one complaint, and which service said it. Where no Kafka is told, its stages since the
    registration, as intake knows them.

    Examples:

        redress timeline 7K3M-9QX2-V0T

        redress timeline 7K3M-9QX2-V0T --http
    """
    where = installation(folder, context)
    subject = subject_of(where, number)
    if over_http or not where.has_kafka:
        _show_stages(where, number, subject, as_json)
        return
    try:
        found = run(collected(where, subject))
    except (KafkaError, OSError) as error:
        fail(f"Kafka cannot be read from here: {type(error).__name__}: {error}. The stages alone: redress timeline {number} --http")
    if not found:
        fail(f"The log has no event about {number}.")
    if as_json:
        for envelope in found:
            print_json(envelope)
        return
    out.print(timeline_table(found, f"Complaint {number}"))


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


async def events(where: Installation, subject: str | None, *, from_start: bool, follow: bool) -> AsyncIterator[Envelope]:
    """Events of the lifecycle and of the public record. What is no event is passed over; so is, and this is said, what does not prove its
    source. A start that is gone is said first. follow: wait for more, however long; else raises ConnectionError where Kafka gives nothing
    of what there is."""
    consumer, mac = reader(where.kafka()), where.mac_keys()
    try:
        await consumer.start()
        places = places_of(where.partitions, subject)
        consumer.assign(places)
        log = await bounds(consumer, places)
        starts, ends = {place: start for place, (start, _) in log.items()}, {place: end for place, (_, end) in log.items()}
        if from_start and (message := truncated(starts)):
            err.print(f"{message} What stood there is not shown. {RESTORE_LOG}", style="red", markup=False)
        following = starts if from_start else dict(ends)
        for place, offset in following.items():
            consumer.seek(place, offset)
        observed = monotonic()
        while follow or any(following[place] < end for place, end in ends.items()):
            try:
                polled = await poll(consumer, following, 500, 1_000)
            except OffsetOutOfRangeError:
                fail(f"The log lost records while it was read. {RESTORE_LOG}")
            if not polled and not follow:
                check_silence(observed)
            for place, records in polled.items():
                following[place] = records[-1].offset + 1
                for record in records:
                    try:
                        envelope = decode(record.value or b"")
                    except Malformed:
                        continue
                    if (signer := signer_of(mac, record, record.chained)) == envelope.source:
                        yield envelope
                    else:
                        why = signer.detail if isinstance(signer, NotProved) else f"It was signed by {signer}."
                        place_of = f"{record.topic}/{record.partition} offset {record.offset}"
                        err.print(harmless(f"{place_of} is not shown, for nothing proves its source. {why}"), style="red", markup=False)
            observed = monotonic() if polled else observed
    finally:
        await close(consumer)


def places_of(partitions: int, subject: str | None) -> list[TopicPartition]:
    """Where events about a complaint stand, its public records among them; without one, every partition."""
    if subject is None:
        return [TopicPartition(topic, partition) for topic in EVENT_TOPICS for partition in range(partitions)]
    identity = subject.partition("/")[2]
    public = [TopicPartition(topic, partition_of(f"{stream}/{identity}", partitions)) for topic, stream in PUBLIC_STREAMS]
    return [TopicPartition(LIFECYCLE, partition_of(subject, partitions)), *public]


def subject_of(where: Installation, number: str) -> str:
    """A complaint's subject from its number or id; ends the command when there is none."""
    if len(number) == 36 and number.count("-") == 4:
        return f"complaint/{number}"
    answer = Api(where, "ops").get("intake", f"/complaints/by-number/{quote(number, safe='')}")
    if answer.status_code not in (200, 404):
        fail(f"intake cannot say now which complaint {number} is: {said(answer)}")
    if answer.status_code != 200:
        fail(f"There is no complaint {number}.")
    return f"complaint/{answer.json()['id']}"


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
    if isinstance(value, str) and value.startswith("sealed:"):
        return MASK
    if isinstance(value, list):
        return f"[{len(value)}]" if value and isinstance(value[0], dict) else ",".join(map(str, value))
    return str(value)


def name_of(kind: str) -> str:
    """`redress.intake.complaint-registered.v1` → `complaint-registered`."""
    name, _, version = kind.split(".", 2)[2].rpartition(".v")
    return name if version == "1" else f"{name} v{version}"


def clock_time(instant: datetime, zone: tzinfo | None = None) -> str:
    return instant.astimezone(zone).strftime("%m-%d %H:%M:%S.%f")[:-3]


def print_json(envelope: Envelope) -> None:
    masked = {name: MASK if isinstance(value, str) and value.startswith("sealed:") else value for name, value in envelope.data.items()}
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
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        on_end()
        raise typer.Exit(130) from None
