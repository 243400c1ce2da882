"""The command `redress`: each group of commands has a file of its own and is named here."""

from __future__ import annotations

import asyncpg
import httpx
import typer
from aiokafka.errors import KafkaError

from redress_cli import adopt, attach, checks, clock, demo, effects, log, parked, restore_log, stack, status, submit, token, version
from redress_cli.console import err

AWAY = (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.TransportError)

app = typer.Typer(
    name="redress",
    help="Start and watch the complaint-handling system, and look into its log.",
    epilog="Begin with: redress up, then redress status. A command's own --help has examples.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    add_completion=False,
)

app.command("up")(stack.up)
app.command("down")(stack.down)
app.command("run")(stack.run)
app.command("attach")(attach.attach)
app.command("status")(status.status)
app.command("clock")(clock.clock)
app.command("token")(token.token)
app.command("submit")(submit.submit)
app.command("tail")(log.tail)
app.command("timeline")(log.timeline)
app.command("pending")(checks.pending)
app.command("verify")(checks.verify)
app.command("parked")(parked.parked)
app.command("redrive")(parked.redrive)
app.command("effects")(effects.effects)
app.command("retry")(effects.retry)
app.command("rebuild")(checks.rebuild)
app.command("send-keys")(checks.send_keys)
app.command("adopt")(adopt.adopt)
app.command("restore-log")(restore_log.restore_log)
app.command("demo")(demo.demo)
app.command("version")(version.version)


def main() -> None:
    """What is away in the midst of a command is a message, and no traceback."""
    try:
        app()
    except AWAY as error:
        what = "Kafka" if isinstance(error, KafkaError) else "A service" if isinstance(error, httpx.TransportError) else "Something"
        err.print(f"{what} does not answer: {type(error).__name__}: {error}. See what runs: redress status", style="red", markup=False)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
