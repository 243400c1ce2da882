"""How the services are: ready, backlog, lag and parked, read from their own /health/ready and /metrics."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import zip_longest

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from redress_cli.api import client
from redress_cli.console import AsJson, out
from redress_cli.harmless import foreign, harmless
from redress_cli.installation import Installation
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import replica_name

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

    answered: it is there. detail: in a word, why it is not ready. reasons: the same in its own sentences, whole."""

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


def status(folder: StackFolder = None, context: ContextName = None, as_json: AsJson = False) -> None:
    """Show each service, and each of its further replicas: ready, events not yet on the log, records not yet read, records lost from
    the log, partitions that are refused, subjects parked, and by how many seconds its clock is ahead of its database's; and each alarm in
    a message.

    Ends with 1 if one is not ready, or has an alarm.

    Examples:

        redress status

        redress status --json | jq '.[] | select(.parked > 0)'
    """
    found = read_all(installation(folder, context))
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        numbers_of = ("backlog", "lag_records", "lag_seconds", "lost", "refused", "parked", "clock")
        names = ("backlog", "lag", "seconds", "lost", "refused", "parked", "clock")
        table = Table("service", "ready", *names, "process", Column("address", no_wrap=True))
        for each in found:
            mark = Text("yes", style="green") if each.ready else Text.assemble(("no", "red"), " ", foreign(each.detail))
            numbers = [_number(getattr(each, name)) for name in numbers_of]
            table.add_row(each.service, mark, *numbers, str(each.pid or "–"), foreign(each.url))
        out.print(table)
        for each in found:
            for message in dict.fromkeys([*each.reasons, *each.alarms]):
                out.print(f"[red]{each.service}[/red]: {escape(harmless(message))}", soft_wrap=True)
    if not all(each.ready and not each.alarms for each in found):
        raise typer.Exit(1)


def read_all(installation: Installation) -> list[ServiceStatus]:
    """Ask all replicas at once."""
    asked = [
        (replica_name(service, n), url, operations)
        for service, urls in installation.urls.items()
        for n, (url, operations) in enumerate(zip_longest(urls, installation.operations[service][: len(urls)]), start=1)
    ]
    with client(installation, timeout=5.0) as http, ThreadPoolExecutor() as threads:
        return list(threads.map(lambda one: read_one(http, one[0], one[1], installation.processes.get(one[0]), one[2]), asked))


def read_one(http: httpx.Client, service: str, url: str, pid: int | None, operations: str | None = None) -> ServiceStatus:
    """Ask one replica. operations: its address for operators, where that is another."""
    try:
        health = http.get(url + "/health/ready")
        metrics = http.get((operations or url) + "/metrics")
    except httpx.TransportError as error:
        return ServiceStatus(service, url, pid, False, False, type(error).__name__)
    ready = health.status_code == 200
    try:
        numbers = read_metrics(metrics.text) if metrics.status_code == 200 else {}
    except ValueError:  # whoever stands before the service answers in its place
        numbers = {}
    reasons, alarms = _sentences(health, "reasons"), _sentences(health, "alarms")
    detail = "" if ready else str(health.status_code) if reasons else f"{health.status_code} {health.text[:200]}"
    return ServiceStatus(service, url, pid, True, ready, detail, **numbers, reasons=reasons, alarms=alarms)


def _sentences(health: httpx.Response, name: str) -> list[str]:
    try:
        return [str(each) for each in health.json().get(name, [])]
    except (ValueError, AttributeError):
        return []


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
