"""Which installation a command looks at: the one that is named, else the service that the environment tells, else the current context's,
else the stack of the usual folder."""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

import typer
from pydantic import Field, PositiveInt, ValidationError
from pydantic_settings import SettingsConfigDict

from redress_chassis.settings import PREFIX, BadSettings, KafkaSettings
from redress_chassis.vault_settings import VaultSettings
from redress_cli.console import LOCAL, fail
from redress_cli.context_file import (
    STACK,
    ContextKafka,
    ContextUnusable,
    ContextVault,
    NamedInstallation,
    ServiceInContext,
    is_like_a_secret,
    read_contexts,
    sentences,
)
from redress_cli.installation import DatabaseAddress, Installation
from redress_local.places import SERVICES
from redress_local.places import STACK as USUAL_FOLDER
from redress_spine.messaging.kafka_clients import KafkaClients

StackFolder = Annotated[
    Path | None,
    typer.Option("--folder", envvar="REDRESS_STACK", help="The stack of this folder.", show_default=".local/stack"),
]
ContextName = Annotated[
    str | None, typer.Option("--context", envvar="REDRESS_CONTEXT", metavar="NAME", help="The installation of this name: redress context.")
]
NOTHING = (
    "There is nothing to look at: no stack runs in {folder}, no context is chosen, and the environment names no service. "
    "Start a stack with: redress up. Or name an installation once, and use it: redress context add NAME --help"
)
IN_CONTEXT = "Save it once: redress context add {name} {{option}}"
IN_ENVIRONMENT = "Set {variable}, or name a context."
SERVICE = "SERVICE"  # an image's own name, as its Dockerfile sets it
PORT = 8080  # of a service in its container


class ServiceEnvironment(KafkaSettings, VaultSettings):
    """What a service's own environment tells commands that run beside it; all but the database's and Kafka's addresses is optional.

    owner_url: the database as the owner of its tables. token_file: a bearer token for operators. url, ops_url: of the service, where it is
    not in this container; ca_file: what signs its certificate, beside what the machine trusts. tls_cert_file: then a service in this
    container speaks TLS."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    database_url: str | None = Field(None, repr=False)
    database_password_file: Path | None = None
    owner_url: str | None = Field(None, repr=False)
    owner_password_file: Path | None = None
    kafka: str | None = None
    partitions: PositiveInt = 12
    master_key_file: Path | None = None
    mac_keys_dir: Path | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    tls_cert_file: Path | None = None
    url: str | None = None
    ops_url: str | None = None
    ops_port: PositiveInt | None = None


def installation(folder: Path | None, context: str | None) -> Installation:
    """What a command is to look at. Ends the command where there is nothing, or it is not told right."""
    return found(folder, context) or _nothing(folder, context)


def _nothing(folder: Path | None, context: str | None) -> NoReturn:
    where = folder or USUAL_FOLDER
    if folder is None and context is None:
        fail(NOTHING.format(folder=where))
    if not LOCAL:
        fail(f"There are no stacks here: {where} needs the whole repository.")
    fail(f"No stack was started in {where}. Start one with: redress up --folder {where}")


def found(folder: Path | None, context: str | None) -> Installation | None:
    """The same; None where no stack runs in the folder, and nothing else is chosen."""
    try:
        if context is not None and context != STACK:
            return of_context(context, read_contexts().named(context))
        if folder is not None or context == STACK:
            return _of_folder(folder or USUAL_FOLDER)
        if service := os.environ.get(SERVICE):
            return of_environment(service)
        contexts = read_contexts()
        if contexts.current is not None:
            return of_context(contexts.current, contexts.named(contexts.current))
    except ContextUnusable as error:
        fail(str(error))
    return _of_folder(USUAL_FOLDER)


def _of_folder(folder: Path) -> Installation | None:
    if not LOCAL:
        return None
    from redress_cli.stack_target import of_folder  # it needs what only a stack on this machine needs

    return of_folder(folder)


def of_context(name: str, told: NamedInstallation) -> Installation:
    """What a context names. Files are read when they are needed. Raises ContextUnusable."""
    said = ContextKafka.of(told.kafka_settings)
    clients = cache(partial(_clients, said, told.kafka))
    return Installation(
        name=f"the context {name}",
        more=IN_CONTEXT.format(name=name),
        urls={service: each.urls for service, each in told.services.items() if each.urls},
        operations={service: each.operations or each.urls for service, each in told.services.items()},
        databases={service: _databases(each) for service, each in told.services.items() if each.database or each.owner},
        reach_kafka=clients,
        partitions=told.partitions,
        master_key_file=told.master_key_file,
        vault=ContextVault.of(told.vault_settings).transit,
        mac_keys_dir=told.mac_keys_dir,
        token=partial(_token_of_file, told.token_file, f"redress context add {name} --token-file FILE"),
        ca_file=told.ca_file,
    )


def of_environment(service: str) -> Installation:
    """The one service in whose container this runs. Ends the command where its environment is not right."""
    if service not in SERVICES:
        fail(f"{SERVICE} names {service!r}, and there is no such service. Services: {', '.join(SERVICES)}.")
    try:
        told = ServiceEnvironment()
    except ValidationError as error:
        fail(f"The environment of {service} is not right. {_variables(error)}")
    here = f"{'https' if told.tls_cert_file else 'http'}://127.0.0.1"
    url = told.url or f"{here}:{PORT}"
    operations = told.ops_url or (f"{here}:{told.ops_port}" if told.ops_port and not told.url else url)
    itself = ServiceInContext.model_construct(
        database=told.database_url,
        database_password_file=told.database_password_file,
        owner=told.owner_url,
        owner_password_file=told.owner_password_file,
    )
    return Installation(
        name=f"the environment of {service}",
        more=IN_ENVIRONMENT,
        urls={service: [url]},
        operations={service: [operations]},
        databases={service: _databases(itself)},
        reach_kafka=cache(partial(_clients, told, told.kafka)),
        partitions=told.partitions,
        master_key_file=told.master_key_file,
        vault=told.transit,
        mac_keys_dir=told.mac_keys_dir,
        token=partial(_token_of_file, told.token_file, "set REDRESS_TOKEN_FILE"),
        ca_file=told.ca_file,
        own_certificate=None if told.url or told.ops_url else told.tls_cert_file,
    )


def _clients(settings: KafkaSettings, bootstrap: str | None) -> KafkaClients | None:
    try:
        return settings.clients(bootstrap) if bootstrap else None
    except (BadSettings, OSError, ValueError) as error:
        fail(f"Kafka cannot be reached with these settings: {error}")


def _databases(told: ServiceInContext) -> DatabaseAddress:
    app = _with_password(told.database, told.database_password_file)
    return DatabaseAddress(app, _with_password(told.owner, told.owner_password_file), urlsplit(app).username if app else None)


def _with_password(address: str | None, file: Path | None) -> str | None:
    """The address with the password that stands in the file; as it is where there is none, and the driver looks into its own file."""
    if address is None or file is None:
        return address
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        fail(f"A password for the database at {host} belongs to a user, and its address names none: postgresql://USER@{host}…")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(_secret(file), safe='')}@{host}"))


def _token_of_file(file: Path | None, cure: str, role: str, subject: str, department: str | None) -> str:
    """What the file has: the identity provider decided who that is, whatever is asked for."""
    if file is None:
        fail(f"The services ask for a bearer token of the role {role}, and none is given: {cure}")
    return _secret(file)


def _secret(file: Path) -> str:
    if is_like_a_secret(file):
        fail("Where a file is to be named stands what looks like the secret itself. Write it into a file, and name that.")
    try:
        found = file.read_text("utf-8").strip("\r\n ")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not text in UTF-8'}.")
    return found or _empty(file)


def _empty(file: Path) -> NoReturn:
    fail(f"{file} is empty.")


def _variables(error: ValidationError) -> str:
    text = sentences(error)
    for flaw in error.errors():
        text = text.replace(f"{flaw['loc'][0]}:", f"{PREFIX}{str(flaw['loc'][0]).upper()}:", 1)
    return text
