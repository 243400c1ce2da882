"""Contexts: say once where an installation is, and choose which one the other commands look at. (`redress context`)"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from redress_chassis.settings import PREFIX
from redress_cli.console import AsJson, err, fail, out
from redress_cli.context_file import (
    NAME,
    STACK,
    ContextKafka,
    Contexts,
    ContextUnusable,
    ContextVault,
    NamedInstallation,
    absolute,
    changed_contexts,
    place,
    plain,
    read_contexts,
    sentences,
)
from redress_cli.harmless import foreign
from redress_cli.installation import known
from redress_local.places import ENTRIES, SERVICES

FOR_SERVICE = re.compile(r"(?P<service>[a-z][a-z0-9-]*)=(?P<value>.*)")
PATTERN = "[SERVICE=]ADDRESS"
ByService = list[str] | None

app = typer.Typer(name="context", help="Register installations, and choose one. Each command's --help has examples.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The name of the context.")],
    url: Annotated[ByService, typer.Option(metavar=PATTERN, help="Where a service answers; several for several replicas.")] = None,
    ops_url: Annotated[ByService, typer.Option(metavar=PATTERN, help="The same for operators, if they have a separate port.")] = None,
    database: Annotated[ByService, typer.Option(metavar=PATTERN, help="A service's database, as the service, without a password.")] = None,
    database_password_file: Annotated[ByService, typer.Option(metavar="[SERVICE=]FILE", help="Its password.")] = None,
    owner: Annotated[ByService, typer.Option(metavar=PATTERN, help="The same database, as the owner of its tables.")] = None,
    owner_password_file: Annotated[ByService, typer.Option(metavar="[SERVICE=]FILE", help="The owner's password.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka; several with commas.")] = None,
    kafka_setting: Annotated[
        list[str] | None, typer.Option("--kafka-set", metavar="NAME=VALUE", help=f"How it is reached: {', '.join(ContextKafka.names())}.")
    ] = None,
    vault_setting: Annotated[
        list[str] | None,
        typer.Option("--vault-set", metavar="NAME=VALUE", help=f"What unwraps the master keys: {', '.join(ContextVault.names())}."),
    ] = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="Of the topics.", show_default="12")] = None,
    master_key_file: Annotated[
        Path | None, typer.Option(help="The first master key, with later ones in the same folder: to compare keys.")
    ] = None,
    mac_keys_dir: Annotated[
        Path | None, typer.Option(help="The folder of the keys by which records prove their source: to read the log.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="A bearer token for the role ops.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates that sign the services', in PEM form.")] = None,
) -> None:
    """Say where an installation is, or say more of one. What was said before stays, unless it is said again.

    In an address {service} stands for each service's name, and {database} for its database's. No secret is kept: only where its file is.
    TLS to a database is said in its address, as for PostgreSQL's own programs.

    Examples:

        redress context add production --url "https://redress.example.com/{service}" --token-file ~/.redress/token

        redress context add production --database "postgresql://{database}_app@db.example.com/{database}?sslmode=verify-full"

        redress context add production --database-password-file intake=/run/secrets/intake

        redress context add production --kafka kafka-1.example.com:9093 --kafka-set security=SSL --kafka-set ca_file=kafka-ca.pem

        redress context add production --url intake=http://10.0.0.7:8080
    """
    if not re.fullmatch(NAME, name) or name == STACK:
        fail(f"{name!r} is not a name for a context: use letters, digits, ., _ and -, at most 63, and not {STACK}.")
    lists: dict[str, ByService] = {"urls": url, "operations": ops_url}
    single: dict[str, ByService] = {
        "database": database,
        "database_password_file": database_password_file,
        "owner": owner,
        "owner_password_file": owner_password_file,
    }
    told: dict[str, Any] = {
        "kafka": kafka,
        "partitions": partitions,
        "master_key_file": master_key_file,
        "mac_keys_dir": mac_keys_dir,
        "token_file": token_file,
        "ca_file": ca_file,
    }
    try:
        with changed_contexts() as contexts:
            before = contexts.contexts.get(name, NamedInstallation()).model_dump()
            for field, given in {**lists, **single}.items():
                for service, values in _by_service(given).items():
                    before["services"].setdefault(service, {})[field] = values if field in lists else values[-1]
            before["kafka_settings"] |= _settings("kafka", kafka_setting)
            before["vault_settings"] |= _settings("vault", vault_setting)
            before |= {field: value for field, value in told.items() if value is not None}
            contexts.contexts[name] = found = NamedInstallation.model_validate(before)
            ContextKafka.of(found.kafka_settings)
            ContextVault.of(found.vault_settings)
            first = contexts.current is None
            if first:
                contexts.current = name
    except ValidationError as error:
        fail(f"Nothing was written. {sentences(error)}")
    except ContextUnusable as error:
        fail(f"Nothing was written. {error}")
    err.print(f"{name} is in {place()}{', and in use' if first else ''}.", markup=False)


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Show the contexts; the one in use has a star.

    Example:

        redress context list
    """
    contexts = _read()
    if as_json:
        print(json.dumps({"current": contexts.current, "contexts": list(contexts.contexts)}))
        return
    table = Table("", "context", "services", "Kafka")
    for name, told in contexts.contexts.items():
        table.add_row("*" if name == contexts.current else "", foreign(name), foreign(", ".join(told.services)), foreign(told.kafka or "–"))
    out.print(table if table.row_count else "There is none. Make one with: redress context add NAME --help")


@app.command()
def use(name: Annotated[str, typer.Argument(help=f"A context, or {STACK}: the stack on this machine.")]) -> None:
    """Choose which one commands look at that name none with --context.

    Examples:

        redress context use production

        redress context use stack
    """
    with _changing() as contexts:
        if name != STACK:
            contexts.named(name)
        contexts.current = None if name == STACK else name
    err.print("Commands look at the stack on this machine again." if name == STACK else f"Commands look at {name}.", markup=False)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="A context; the one in use if none is named.")] = None, as_json: AsJson = False
) -> None:
    """Show what is known of an installation. There is no secret in it: only where their files are.

    Example:

        redress context show production
    """
    contexts = _read()
    wanted = name or contexts.current
    if wanted is None:
        fail("No context is in use. Name one, or choose one with: redress context use NAME")
    try:
        told = plain(contexts.named(wanted))
    except ContextUnusable as error:
        fail(str(error))
    if as_json:
        print(json.dumps(told))
    else:
        out.print_json(data=told)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A context.")]) -> None:
    """Forget where an installation is. Nothing happens to the installation, nor to the files that the context names.

    Example:

        redress context remove production
    """
    with _changing() as contexts:
        contexts.named(name)
        del contexts.contexts[name]
        if contexts.current == name:
            contexts.current = None
    err.print(f"{name} is forgotten.", markup=False)


def _by_service(given: ByService) -> dict[str, list[str]]:
    """By service; what names none is for each, with its name and its database's in it. Who is named has what was said of it alone."""
    every: dict[str, list[str]] = {}
    named: dict[str, list[str]] = {}
    for text in given or ():
        if one := FOR_SERVICE.fullmatch(text):
            named.setdefault(known(one["service"]), []).append(one["value"])
        else:
            for service in SERVICES:
                value = text.replace("{service}", service).replace("{database}", ENTRIES[service].database)
                every.setdefault(service, []).append(value)
    return every | named


def _settings(whose: str, given: list[str] | None) -> dict[str, str]:
    """`security=SSL`, or with the whole name that a service's environment has."""
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"--{whose}-set takes NAME=VALUE.")  # and nothing of what was given: it may be a secret
        setting = f"{whose}_" + name.strip().lower().removeprefix(PREFIX.lower()).removeprefix(f"{whose}_")
        found[setting] = str(absolute(Path(value.strip()))) if setting.endswith("_file") else value.strip()
    return found


def _read() -> Contexts:
    try:
        return read_contexts()
    except ContextUnusable as error:
        fail(str(error))


@contextmanager
def _changing() -> Iterator[Contexts]:
    try:
        with changed_contexts() as contexts:
            yield contexts
    except ContextUnusable as error:
        fail(str(error))
