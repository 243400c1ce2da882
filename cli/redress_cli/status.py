"""How the servers and services are: ready, backlog, lag and parked, read from the services' own /health/ready and /metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import Annotated

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Column, Table
from rich.text import Text

from redress_cli.api import trust
from redress_cli.console import AsJson, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import Installation
from redress_cli.servers import ServerStatus, asked, known_servers, with_what_services_say
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import replica_name

WITHIN = 1.8  # seconds in which all must have answered: whoever asks how things are has somebody waiting on the phone
SILENT = "There is no answer: nothing can be asked or done there, and its next steps wait (redress pending)."
METRICS = {
    "backlog": "redress_backlog_events",
    "lag_records": "redress_lag_records",
    "lag_seconds": "redress_lag_seconds",
    "parked": "redress_parked_subjects",
    "lost": "redress_lost_records",
    "refused": "redress_refused_partitions",
    "clock": "redress_clock_skew_seconds",
}


@dataclass(frozen=True)
class ServiceStatus:
    """One replica, by its process's name. A number is None when the service did not tell it.

    answered: it is there. detail: in a word, why it is not ready. reasons: the same in its own sentences, whole. cannot: what it does not
    do while a server is away. servers: how Kafka and PostgreSQL answer it, by its own account."""

    service: str
    url: str
    pid: int | None
    answered: bool
    ready: bool
    detail: str
    backlog: float | None = None
    lag_records: float | None = None
    lag_seconds: float | None = None
    parked: float | None = None
    lost: float | None = None
    refused: float | None = None
    clock: float | None = None
    reasons: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    cannot: list[str] = field(default_factory=list)
    servers: dict[str, dict[str, object]] = field(default_factory=dict)


def status(
    within: Annotated[
        float, typer.Option(envvar="REDRESS_STATUS_WITHIN", min=0.1, help="Seconds in which all must have answered.")
    ] = WITHIN,
    folder: StackFolder = None,
    context: ContextName = None,
    as_json: AsJson = False,
) -> None:
    """Show Kafka and each PostgreSQL: whether they answer, after how long, and who does not reach them. Then each service, and each of
    its further replicas: ready, events not yet on the log, records not yet read, records lost from the log, partitions that are refused,
    subjects parked, and by how many seconds its clock is ahead of its database's; each alarm, and what it cannot do now, in a message.

    All are asked at once, and who has not answered in time is shown as away. Ends with 1 if a server does not answer, or a service is not
    ready, has an alarm, or cannot do all that it should.

    Examples:

        redress status

        redress status --json | jq '.services[] | select(.parked > 0)'
    """
    where = installation(folder, context)
    where.chosen(None)
    servers, found = asyncio.run(_look(where, within))
    if as_json:
        print(json.dumps({"servers": [asdict(each) for each in servers], "services": [asdict(each) for each in found]}, indent=2))
    else:
        out.print(_table_of_servers(servers))
        if found:
            out.print(_table_of_services(found))
        _print_messages(found)
    if not found:
        where.answering()
    if not all(_well(each) for each in found) or any(each.up is False or each.unreached for each in servers):
        raise typer.Exit(1)


def _well(each: ServiceStatus) -> bool:
    return each.ready and not each.alarms and not each.cannot


def _table_of_servers(servers: Sequence[ServerStatus]) -> Table:
    table = Table("server", "answers", "after", "address", "not reached by")
    for each in servers:
        no = Text.assemble(("no", "red"), f" {each.detail}".rstrip())
        answers = "not known" if each.up is None else Text("yes", style="green") if each.up else no
        after = "–" if each.seconds is None else f"{each.seconds * 1000:,.0f} ms"
        unreached = Text(", ".join(each.unreached), style="red") if each.unreached else "–"
        table.add_row(each.server, answers, after, foreign(each.address or "–"), unreached)
    return table


def _table_of_services(found: Sequence[ServiceStatus]) -> Table:
    numbers_of = ("backlog", "lag_records", "lag_seconds", "lost", "refused", "parked", "clock")
    names = ("backlog", "lag", "seconds", "lost", "refused", "parked", "clock")
    table = Table("service", "ready", *names, "process", Column("address", no_wrap=True))
    for each in found:
        mark = Text("yes", style="green") if each.ready else Text.assemble(("no", "red"), " ", foreign(each.detail))
        numbers = [_number(getattr(each, name)) for name in numbers_of]
        table.add_row(each.service, mark, *numbers, str(each.pid or "–"), foreign(each.url))
    return table


def _print_messages(found: Sequence[ServiceStatus]) -> None:
    """Each message once, behind all whose message it is."""
    said: dict[str, list[str]] = {}
    for each in found:
        silent = (
            [] if each.answered else ["There is no answer: nothing can be asked or done there, and its next steps wait (redress pending)."]
        )
        for message in dict.fromkeys([*silent, *each.cannot, *each.reasons, *each.alarms]):
            said.setdefault(message, []).append(each.service)
    for message, names in said.items():
        out.print(Text.assemble((", ".join(names), "red"), ": ", harmless(message)), soft_wrap=True)


def read_all(installation: Installation) -> list[ServiceStatus]:
    """Ask all replicas at once."""
    return asyncio.run(_services(installation, WITHIN))


async def _look(where: Installation, within: float) -> tuple[list[ServerStatus], list[ServiceStatus]]:
    replicas = asyncio.create_task(_services(where, within))
    servers = await asyncio.gather(*(asked(server, ask, within) for server, ask in known_servers(where)))
    found = await replicas
    said = {each.service: each.servers for each in found}
    return [with_what_services_say(each, said) for each in servers], found


async def _services(where: Installation, within: float) -> list[ServiceStatus]:
    replicas = [
        (replica_name(service, n), url, operations)
        for service, urls in where.urls.items()
        for n, (url, operations) in enumerate(zip_longest(urls, where.operations[service][: len(urls)]), start=1)
    ]
    async with httpx.AsyncClient(**trust(where), timeout=within) as http:
        of_each = (read_one(http, name, url, where.processes.get(name), operations, within) for name, url, operations in replicas)
        return await asyncio.gather(*of_each)


async def read_one(
    http: httpx.AsyncClient, service: str, url: str, pid: int | None, operations: str | None = None, within: float = WITHIN
) -> ServiceStatus:
    """Ask one replica. operations: its address for operators, where that is another. Numbers that come late are missing."""
    asked_of_it = (_got(http, url + "/health/ready", within), _got(http, (operations or url) + "/metrics", within))
    health, metrics = await asyncio.gather(*asked_of_it)
    if isinstance(health, str):
        return ServiceStatus(service, url, pid, False, False, health)
    ready = health.status_code == 200
    try:
        numbers = read_metrics(metrics.text) if not isinstance(metrics, str) and metrics.status_code == 200 else {}
    except ValueError:  # whoever stands before the service answers in its place
        numbers = {}
    said = _said(health)
    reasons, alarms, cannot = (_sentences(said, name) for name in ("reasons", "alarms", "cannot"))
    detail = "" if ready else str(health.status_code) if reasons else f"{health.status_code} {health.text[:200]}"
    servers = said.get("servers")
    seen = {name: each for name, each in servers.items() if isinstance(each, dict)} if isinstance(servers, dict) else {}
    return ServiceStatus(service, url, pid, True, ready, detail, **numbers, reasons=reasons, alarms=alarms, cannot=cannot, servers=seen)


async def _got(http: httpx.AsyncClient, address: str, within: float) -> httpx.Response | str:
    """What was answered in time, or in a word why nothing was."""
    try:
        async with asyncio.timeout(within):
            return await http.get(address)
    except (httpx.TransportError, TimeoutError) as error:
        return "no answer in time" if isinstance(error, TimeoutError | httpx.TimeoutException) else type(error).__name__


def _said(health: httpx.Response) -> dict[str, object]:
    try:
        said = health.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _sentences(said: dict[str, object], name: str) -> list[str]:
    found = said.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def read_metrics(text: str) -> dict[str, float]:
    """The numbers out of a Prometheus page: seconds as the largest, the others summed over their labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for what, name in METRICS.items():
                if sample.name == name:
                    combine = max if what == "lag_seconds" else _sum
                    found[what] = combine(found[what], sample.value) if what in found else sample.value
    return found


def _sum(one: float, two: float) -> float:
    return one + two


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g}" if value != int(value) else f"{int(value):,}"
