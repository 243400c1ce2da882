"""Let the commands look at the system that Docker Compose runs."""

from __future__ import annotations

from redress_cli.console import DEFAULT_FOLDER, Folder, err, fail, out
from redress_cli.status import read_all
from redress_local.compose import NoCompose, read_compose
from redress_local.state import COMPOSE, NotRunning, read_stack


def attach(folder: Folder = DEFAULT_FOLDER) -> None:
    """Make the stack that `docker compose up` started the folder's, so that every other command works with it.

    It reads docker-compose.yml with its .env, and copies the development issuer's keys out of the setup container. `redress down`
    lets go of it again and stops nothing: `docker compose down` does.

    Examples:

        docker compose up --wait && redress attach && redress status

        redress attach --folder /tmp/docker
    """
    try:
        if read_stack(folder).servers != COMPOSE:
            fail(f"In {folder} another stack runs. Stop it first, or name another folder: redress down --folder {folder}")
    except NotRunning:
        pass
    try:
        stack = read_compose(folder)
    except NoCompose as error:
        fail(str(error))
    silent = [each.service for each in read_all(stack) if not each.ready]
    if silent:
        fail(f"Not ready: {', '.join(silent)}. Start them first: docker compose up --wait")
    stack.write()
    for service, url in stack.urls.items():
        out.print(f"{service:12} {url}", highlight=False)
    err.print(f"Attached in {folder}.")
