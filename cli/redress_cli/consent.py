"""What changes an installation is asked about first, and leaves a line on stderr: who did what, where, and how it ended."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import structlog
import typer

from redress_cli.console import fail
from redress_cli.harmless import harmless
from redress_cli.installation import Installation

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def ask(what: str, installation: Installation, yes: bool) -> None:
    """Ends the command where somebody says no, or nobody is there to be asked. A stack of one's own is not asked for.

    what: as in "rebuild the state of intake"."""
    if not (installation.ours or yes):
        ask_whatever(f"{what} ({installation.name})", yes)


def ask_whatever(what: str, yes: bool) -> None:
    """The same on whichever installation."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"This would {what}, and there is no terminal to ask at: add --yes to confirm.")
    typer.confirm(harmless(f"{what[:1].upper()}{what[1:]}?"), abort=True, err=True)


@contextmanager
def accountable(command: str, installation: Installation, **details: Any) -> Iterator[None]:
    """One JSON line on stderr before the block and one behind it, under one event each: `operator-began`, `operator-ended` with its outcome
    (done, failed, interrupted). On a stack of one's own there is nobody to account to."""
    if installation.ours:
        yield
        return
    lines = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
        context_class=dict,
    ).bind(who=who(), command=command, installation=installation.name, **details)
    lines.msg("operator-began")
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except (KeyboardInterrupt, typer.Abort):
        outcome = "interrupted"
        raise
    finally:
        lines.msg("operator-ended", outcome=outcome)


def who() -> str:
    """As the machine knows them, or as REDRESS_OPERATOR says where many work under one user."""
    if told := os.environ.get("REDRESS_OPERATOR"):
        return told
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
