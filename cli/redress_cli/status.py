"""How the services are: ready, backlog, lag and parked, read from their own /health/ready and /metrics."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.markup import escape
from rich.table import Column, Table

from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, out, running_stack
from redress_local.state import Stack

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


def status(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Show each service, and each of its further replicas: ready, events not yet on the log, records not yet read, records lost from
    the log, partitions that are refused, subjects parked, and by how many seconds its clock is ahead of its database's; and each alarm in
    a message.

    Ends with 1 if one is not ready, or has an alarm.

    Examples:

        redress status

        redress status --json | jq '.[] | select(.parked > 0)'
    """
    found = read_all(running_stack(folder))
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        numbers_of = ("backlog", "lag_records", "lag_seconds", "lost", "refused", "parked", "clock")
        names = ("backlog", "lag", "seconds", "lost", "refused", "parked", "clock")
        table = Table("service", "ready", *names, "process", Column("address", no_wrap=True))
        for each in found:
            mark = "[green]yes[/green]" if each.ready else f"[red]no[/red] {each.detail}"
            numbers = [_number(getattr(each, name)) for name in numbers_of]
            table.add_row(each.service, mark, *numbers, str(each.pid or "–"), each.url)
        out.print(table)
        for each in found:
            for message in dict.fromkeys([*each.reasons, *each.alarms]):
                out.print(f"[red]{each.service}[/red]: {escape(message)}", soft_wrap=True)
    if not all(each.ready and not each.alarms for each in found):
        raise typer.Exit(1)


def read_all(stack: Stack) -> list[ServiceStatus]:
    """Ask all replicas at once."""
    alive = {each.name: each.pid for each in stack.processes if each.process() is not None}
    with httpx.Client(timeout=5.0, trust_env=False) as client, ThreadPoolExecutor() as threads:
        return list(threads.map(lambda item: read_one(client, item[0], item[1], alive.get(item[0])), stack.all_urls.items()))


def read_one(client: httpx.Client, service: str, url: str, pid: int | None) -> ServiceStatus:
    """Ask one replica."""
    try:
        health = client.get(url + "/health/ready")
        metrics = client.get(url + "/metrics")
    except httpx.TransportError as error:
        return ServiceStatus(service, url, pid, False, False, type(error).__name__)
    ready = health.status_code == 200
    numbers = read_metrics(metrics.text) if metrics.status_code == 200 else {}
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
