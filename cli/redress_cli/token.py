"""Mint a token of the local stack's development issuer."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from redress_chassis.auth.callers import ROLES
from redress_cli.console import DEFAULT_FOLDER, Folder, fail
from redress_local.issuer import Issuer
from redress_local.state import NotRunning, read_stack

LONGEST = 366 * 24 * 3600.0  # seconds


def token(
    role: Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be repeated.")],
    subject: Annotated[str, typer.Option("--sub", help="Who the caller is.")] = "local-user",
    department: Annotated[str | None, typer.Option(help="The caller's department, for handlers and supervisors.")] = None,
    area: Annotated[str | None, typer.Option(help="The caller's area.")] = None,
    ttl: Annotated[float, typer.Option(help="Seconds until it expires.")] = 3600.0,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Print a bearer token for the local stack.

    Examples:

        redress token --role front-end --sub hotline

        curl -H "Authorization: Bearer $(redress token --role handler --department network)" …

        redress token --role ops --ttl 60
    """
    if not 0 < ttl <= LONGEST:
        fail(f"--ttl takes more than 0 and at most {LONGEST:.0f} seconds.")
    unknown = [each for each in role if each not in ROLES]
    if unknown:
        fail(f"There is no role {', '.join(unknown)}. Roles: {', '.join(ROLES)}.")
    keys = folder / "keys"  # of a stopped stack too
    with suppress(NotRunning):
        keys = Path(read_stack(folder).issuer["folder"])
    if not (keys / "issuer.json").exists():
        fail(f"No stack was started in {folder}. Start one with: redress up")
    print(Issuer(keys).mint(role, subject, department=department, area=area, ttl=ttl))
