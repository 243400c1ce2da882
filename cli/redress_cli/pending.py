"""Every open complaint and who really owes its next step: intake has that from the log, and each service tells what it holds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import typer
from rich.table import Table

from redress_cli.api import SHORT, Api, NoAnswer, of_each
from redress_cli.console import AsJson, err, fail, out
from redress_cli.harmless import foreign, harmless
from redress_cli.held import ParkedRow, RecordFilter, held_by
from redress_cli.status import read_metrics
from redress_cli.target import ContextName, StackFolder, installation

INTAKE, TRIAGE, HANDLING, CALLBACK = "intake", "triage", "handling", "callback"
KEEPERS = {"return-visit agents": CALLBACK, "triage reviewers": TRIAGE}  # the service in which people do their step
OPERATORS = "operators"


@dataclass(frozen=True)
class Owed:
    """A complaint's next step. stuck: a service owes it for longer than is normal. parked: by which services it is held, since when, and
    why. silent: the service in which the step is done, where that does not answer."""

    id: str
    number: str
    stage: str
    cycle: int
    owner: str
    step: str
    since: str
    by: str | None = None
    stuck: bool = False
    parked: list[dict[str, Any]] = field(default_factory=list)
    silent: str | None = None


@dataclass(frozen=True)
class Seen:
    """What a service holds: parked records by their subject's name, and of triage the complaints that wait for a person, since when."""

    parked: Mapping[str, ParkedRow]
    reviews: Mapping[str, str]


def pending(folder: StackFolder = None, context: ContextName = None, as_json: AsJson = False) -> None:
    """Show every open complaint and who has its next step, the oldest first; a service that owes it for longer than is normal is stuck. A
    complaint that a record holds up is the operators', with where it is parked and why.

    Exit code 1 where a service does not answer: its part is then not known.

    Example:

        redress pending
    """
    where = installation(folder, context)
    services = where.answering()
    api = Api(where, "ops", patience=SHORT)
    seen: dict[str, Seen] = {}
    away: dict[str, str] = {}
    items: list[dict[str, Any]] = []
    for service, answer in of_each([INTAKE, *(each for each in services if each != INTAKE)], lambda service: _asked(api, service)):
        if isinstance(answer, NoAnswer):
            away[service] = str(answer)
            continue
        seen[service], listed = answer
        items += listed
    if INTAKE in away:
        fail(f"{away[INTAKE]} Without it the open complaints are not known. What is parked elsewhere: redress parked")
    found = [owed(each, seen, away) for each in items]
    if as_json:
        out.print_json(data=[asdict(each) for each in found])
    else:
        _print(found)
    for note in [*_behind(api), *away.values()]:
        err.print(harmless(note), style="red", markup=False)
    if away:
        raise typer.Exit(1)


def owed(item: Mapping[str, Any], seen: Mapping[str, Seen], away: Mapping[str, str]) -> Owed:
    """item: as intake tells it, from what is on the log. away: who does not answer."""
    subject = f"complaint/{item['id']}"
    owner, step, since, stuck = item["owner"], item["step"], item["since"], bool(item.get("stuck"))
    if owner == TRIAGE and TRIAGE in seen and (waits := seen[TRIAGE].reviews.get(item["id"])):
        owner, step, since, stuck = "triage reviewers", "decide how it is classified", waits, False
    keeper = HANDLING if owner.startswith("department:") else KEEPERS.get(owner, owner)
    held = {service: each.parked[subject] for service, each in seen.items() if subject in each.parked}
    if INTAKE in held:
        owner, step, stuck = OPERATORS, "fix the record that intake cannot fold: until then the next step is not known", False
    elif keeper in held:
        owner, step, stuck = OPERATORS, f"fix the record that {keeper} cannot fold: until then it does not {step}", False
    places = [{"service": service} | {name: row[name] for name in ("since", "reason", "detail")} for service, row in held.items()]
    silent = keeper if keeper in away else None
    head = {name: item[name] for name in ("id", "number", "stage", "cycle")}
    return Owed(**head, owner=owner, step=step, since=since, by=item.get("by"), stuck=stuck, parked=places, silent=silent)


def _asked(api: Api, service: str) -> tuple[Seen, list[dict[str, Any]]]:
    """Raises NoAnswer."""
    items = api.every(INTAKE, "/pending") if service == INTAKE else []
    reviews = {str(each["id"]): str(each["waiting_since"]) for each in api.every(TRIAGE, "/reviews")} if service == TRIAGE else {}
    parked, _ = held_by(api, service, RecordFilter())
    return Seen({row["subject"]: row for row in parked}, reviews), items


def _behind(api: Api) -> list[str]:
    """Why what intake says may be old, in a message."""
    try:
        health = api.ask(INTAKE, "/health/ready").json()
        if health.get("servers", {}).get("kafka", {}).get("up") is False:
            return ["intake does not reach Kafka: what other services did since then is not known."]
        lag = read_metrics(api.ask(INTAKE, "/metrics").text).get("lag_records", 0)
    except (NoAnswer, ValueError, AttributeError):
        return ["How far intake has read the log is not known."]
    return [f"intake has {lag:,.0f} records of the log still to read: some of this may be done already."] if lag else []


def _print(found: list[Owed]) -> None:
    table = Table("number", "stage", "cycle", "owner", "next step", "since", "by", "held up")
    for each in found:
        texts = (each.number, each.stage, each.cycle, each.owner, each.step, each.since, each.by or "")
        held = [f"parked in {row['service']} since {row['since']}: {row['reason']}: {row['detail']}" for row in each.parked]
        held += ["stuck"] if each.stuck else []
        held += [f"{each.silent} does not answer"] if each.silent else []
        table.add_row(*map(foreign, texts), foreign("; ".join(held), style="red"))
    out.print(table if found else "No complaint is open.")
