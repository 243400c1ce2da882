"""Let the commands look at the system that Docker Compose runs, or at the servers that took the place of a stack's own."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from redress_cli.console import DEFAULT_FOLDER, Folder, err, fail, out
from redress_cli.installation import known
from redress_cli.stack_target import of_stack
from redress_cli.status import read_all
from redress_local.compose import NoCompose, read_compose
from redress_local.places import SERVICES
from redress_local.state import COMPOSE, NotRunning, Stack, read_stack

ADDRESS = re.compile(r"[^\s/@,=:]+:\d+")


def attach(
    postgres: Annotated[
        list[str] | None,
        typer.Option("--postgres", metavar="[SERVICE=]HOST:PORT", help="Where a service's database is now, or every service's."),
    ] = None,
    kafka: Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Where Kafka is now.")] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make the stack that `docker compose up` started the folder's, so that every other command works with it.

    It reads docker-compose.yml with its .env, and copies the development issuer's keys out of the setup container. `redress down`
    lets go of it again and stops nothing: `docker compose down` does. Services need not be ready: one whose database was restored is not,
    before `redress adopt`.

    With --postgres or --kafka the folder's stack, whoever started it, is from now on looked for there: after a failover to another address.
    It tells the commands alone; services have it from REDRESS_DATABASE_URL and REDRESS_KAFKA.

    Examples:

        docker compose up --wait && redress attach && redress status

        redress attach --folder /tmp/docker

        redress attach --postgres intake=10.0.0.7:5432 && redress adopt intake
    """
    places = _places(postgres or [])
    if kafka and not ADDRESS.fullmatch(kafka):
        fail(f"{kafka!r} is no HOST:PORT.")
    stack = _stack(folder, elsewhere=bool(places or kafka)).moved(places, kafka)
    found = read_all(of_stack(stack))
    if not any(each.answered for each in found):
        fail("No service answers. Start them first: docker compose up --wait")
    stack.write()
    for service, url in stack.urls.items():
        out.print(f"{service:12} {url}", highlight=False)
    for service, place in places.items():
        out.print(f"{service:12} database at {place}", highlight=False)
    if kafka:
        out.print(f"{'Kafka':12} {kafka}", highlight=False)
    err.print(f"Attached in {folder}.")
    if unready := [each.service for each in found if not each.ready]:
        err.print(f"Not ready: {', '.join(unready)}. See why: redress status", style="yellow", markup=False)


def _stack(folder: Folder, *, elsewhere: bool) -> Stack:
    """The folder's own where its servers have moved, else the one of Docker Compose; ends the command where there is none."""
    try:
        there = read_stack(folder)
    except NotRunning:
        there = None
    if there is not None and elsewhere:
        return there
    if there is not None and there.servers != COMPOSE:
        fail(f"In {folder} another stack runs. Stop it first, or name another folder: redress down --folder {folder}")
    try:
        return read_compose(folder)
    except NoCompose as error:
        fail(str(error))


def _places(given: list[str]) -> dict[str, str]:
    """`intake=one:5432` or `one:5432` → by service; one that is named has its own place. Ends the command where it is neither."""
    everywhere: dict[str, str] = {}
    named: dict[str, str] = {}
    for text in given:
        service, equals, place = text.rpartition("=")
        if not ADDRESS.fullmatch(place):
            fail(f"{text!r} is no [SERVICE=]HOST:PORT.")
        if equals:
            named[known(service)] = place
        else:
            everywhere |= dict.fromkeys(SERVICES, place)
    return everywhere | named
