"""Mint a token of the local stack's development issuer, and explain how a token is read."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from redress_chassis.auth.callers import ROLES
from redress_chassis.environment import PREFIX, BadSettings
from redress_chassis.identity_settings import IdentitySettings
from redress_cli.console import DEFAULT_FOLDER, LOCAL, Folder, fail, out
from redress_cli.explain import explained
from redress_cli.harmless import harmless

if LOCAL:  # an image can explain, and has nothing to mint with
    from redress_local.issuer import AUDIENCE, ISSUER, Issuer
    from redress_local.state import NotRunning, read_stack

LONGEST = 24 * 3600.0  # seconds: services refuse what lives longer, unless a setting lets it

app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def token(
    context: typer.Context,
    role: Annotated[list[str] | None, typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be repeated.")] = None,
    subject: Annotated[str, typer.Option("--sub", help="Who the caller is.")] = "local-user",
    department: Annotated[str | None, typer.Option(help="The caller's department, for handlers and supervisors.")] = None,
    area: Annotated[list[str] | None, typer.Option(help="An area of the caller's; may be repeated.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="A channel of the caller's; may be repeated.")] = None,
    ttl: Annotated[float, typer.Option(help="Seconds until it expires.")] = 3600.0,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Print a bearer token for the local stack; or explain one, of whatever issuer.

    Examples:

        redress token --role front-end --sub hotline

        curl -H "Authorization: Bearer $(redress token --role handler --department network)" …

        redress token --role ops --ttl 60

        redress token explain < token.txt
    """
    if context.invoked_subcommand is not None:
        return
    if not LOCAL:
        fail("Tokens are minted for the local stack alone. To see whose token you have: redress token explain")
    if not role:
        fail(f"Name a role: --role ROLE. Roles: {', '.join(ROLES)}.")
    if not 0 < ttl <= LONGEST:
        fail(f"--ttl takes more than 0 and at most {LONGEST:.0f} seconds.")
    unknown = [each for each in role if each not in ROLES]
    if unknown:
        fail(f"There is no role {', '.join(unknown)}. Roles: {', '.join(ROLES)}.")
    keys = _keys(folder)
    if not (keys / "issuer.json").exists():
        fail(f"No stack was started in {folder}. Start one with: redress up")
    print(Issuer(keys).mint(role, subject, department=department, area=area or None, channels=channel or (), ttl=ttl))


@app.command()
def explain(
    given: Annotated[str | None, typer.Argument(metavar="[TOKEN]", help="The token; others on this machine may see it here.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with the token. Without either it is read from standard input.")] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Say how the services would read a token, and why they would refuse it. It is never printed.

    The settings are those of the services, from the environment: REDRESS_JWKS, REDRESS_ISSUER and whatever else docs/identity.md names.
    Where neither of these two is set, they are those of the local stack. The exit code is 0 for a token that is accepted, else 1.

    Examples:

        redress token --role handler --department network | redress token explain

        redress token explain --file token.txt
    """
    text = _given(given, file).strip()
    if not text.isascii():
        fail("That is not a token: it contains characters that tokens never have.")
    if text.lower().startswith("bearer "):
        text = text[len("bearer ") :].strip()
    try:
        explanation = asyncio.run(explained(text, _settings(folder)))
    except BadSettings as error:
        fail(str(error))
    width = max((len(what) for what, _ in explanation.lines), default=0)
    for what, said in explanation.lines:
        out.print(harmless(f"{what:<{width}}  {said}"), markup=False, highlight=False, soft_wrap=True)
    out.print(harmless(explanation.verdict), markup=False, highlight=False, soft_wrap=True)
    if not explanation.accepted:
        raise typer.Exit(1)


def _given(given: str | None, file: Path | None) -> str:
    if given not in (None, "-"):
        return given or ""
    if file is not None:
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fail(f"The file cannot be read: {type(error).__name__}.")
    if sys.stdin.isatty():
        fail("Give the token on standard input, or name a file with --file.")
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _settings(folder: Path) -> IdentitySettings:
    """Those of the environment; where it names no issuer, of the local stack. Raises BadSettings."""
    keys = _keys(folder) if LOCAL else Path()
    if not LOCAL or f"{PREFIX}JWKS" in os.environ or f"{PREFIX}ISSUER" in os.environ or not (keys / "jwks.json").exists():
        return IdentitySettings.read()
    return IdentitySettings.read(jwks=str(keys / "jwks.json"), issuer=ISSUER, audience=AUDIENCE)


def _keys(folder: Path) -> Path:
    """Of the stack that runs there, or of one that was stopped."""
    with suppress(NotRunning):
        return Path(read_stack(folder).issuer["folder"])
    return folder / "keys"
