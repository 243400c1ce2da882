"""Effects on the outside world that were given up: look at them, have one tried again, or drop it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from redress_cli.api import SHORT, Api, NoAnswer, good, of_each, said
from redress_cli.consent import Yes, accountable, ask
from redress_cli.console import AsJson, fail, out
from redress_cli.harmless import foreign
from redress_cli.installation import ServiceName
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import SERVICES


def effects(folder: StackFolder = None, context: ContextName = None, as_json: AsJson = False) -> None:
    """Show effects on the outside world that were given up, in every service; the newest 200 of each.

    Example:

        redress effects
    """
    where = installation(folder, context)
    services = where.answering()
    api = Api(where, "ops", patience=SHORT)
    found: dict[str, list[dict[str, Any]]] = {}
    away: dict[str, str] = {}
    for service, answer in of_each(services, lambda service: good(service, api.ask(service, "/ops/effects"))):
        if isinstance(answer, NoAnswer):
            away[service] = str(answer)
        else:
            found[service] = answer
    if as_json:
        out.print_json(data={service: found[service] if service in found else {"error": away[service]} for service in services})
    else:
        _print_effects(found)
    if away:
        fail("\n".join(away.values()))


def _print_effects(found: dict[str, list[dict[str, Any]]]) -> None:
    table = Table("service", "reactor")
    table.add_column("key", overflow="fold", min_width=36)  # it is typed again: never cut
    for column in ("about", "attempts", "given up", "last error"):
        table.add_column(column, overflow="fold")
    for service, letters in sorted(found.items(), key=lambda each: SERVICES.index(each[0])):
        for each in letters:
            texts = (each["reactor"], each["key"], each["subject"], each["attempts"], each["given_up_at"], each["error"])
            table.add_row(service, *map(foreign, texts))
    out.print(table if table.row_count else "Nothing was given up.")


def retry(
    service: ServiceName,
    reactor: Annotated[str, typer.Argument(help="As `redress effects` shows it.")],
    key: Annotated[str, typer.Argument(help="As `redress effects` shows it.")],
    drop: Annotated[bool, typer.Option("--drop", help="Never do it.")] = False,
    why: Annotated[str | None, typer.Option(help="With --drop: the reason. It is kept permanently.")] = None,
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Have an effect that was given up tried again, once the cause is gone. The other side gets the same key as before.

    Examples:

        redress retry intake webhooks msg_0f3a…

        redress retry intake webhooks msg_0f3a… --drop --why "the partner has left, ticket 4711"
    """
    if drop and not why:
        fail("--drop needs --why: the reason is kept permanently.")
    path = f"/ops/effects/{reactor}/{key}/{'drop' if drop else 'retry'}"
    where = installation(folder, context)
    where.chosen([service])
    if drop:
        ask(f"never do the effect {key} of {reactor}", where, yes)
    with accountable("retry --drop" if drop else "retry", where, service=service, reactor=reactor, key=key):
        answer = Api(where, "ops").post(service, path, {"why": why} if drop else None)
        if answer.status_code == 404:
            fail(f"{service} has no given-up effect of {reactor} with this key. See: redress effects")
        if answer.status_code != 204:
            fail(f"{service} answered {answer.status_code}: {said(answer)}")
    out.print("It will never be tried again." if drop else "It will be tried again.")
