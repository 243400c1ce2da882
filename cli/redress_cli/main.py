"""The command `redress`: each group of commands has a file of its own and is named here."""

from __future__ import annotations

import logging

import asyncpg
import httpx
import typer
from aiokafka.errors import KafkaError

from redress_cli import (
    adopt,
    audit,
    checks,
    context,
    effects,
    forget,
    keys,
    log,
    parked,
    pending,
    relay,
    restore_log,
    status,
    token,
    version,
)
from redress_cli.console import LOCAL, err
from redress_cli.harmless import harmless
from redress_spine.store.errors import MasterKeyAway

if LOCAL:  # nothing of it is in the services' images
    from redress_cli import attach, clock, demo, kafka_tools, stack, submit

AWAY = (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.TransportError)

app = typer.Typer(
    name="redress",
    help="Start and watch the complaint-handling system, and look into its log.",
    epilog="Begin with: redress up, then redress status; or with: redress context add. A command's own --help has examples.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    add_completion=False,
)

if LOCAL:
    app.command("up")(stack.up)
    app.command("down")(stack.down)
    app.command("run")(stack.run)
    app.command("attach")(attach.attach)
app.add_typer(context.app)
app.command("status")(status.status)
if LOCAL:
    app.command("clock")(clock.clock)
    app.command("submit")(submit.submit)
app.command("tail")(log.tail)
app.command("timeline")(log.timeline)
app.command("pending")(pending.pending)
app.command("verify")(checks.verify)
app.command("parked")(parked.parked)
app.command("redrive")(parked.redrive)
app.command("effects")(effects.effects)
app.command("retry")(effects.retry)
app.command("forget")(forget.forget)
app.command("relay")(relay.relay)
app.command("rebuild")(checks.rebuild)
app.command("send-keys")(checks.send_keys)
app.add_typer(keys.app, name="keys")
app.command("adopt")(adopt.adopt)
app.command("restore-log")(restore_log.restore_log)
app.add_typer(audit.app, name="audit")
app.add_typer(token.app, name="token")
app.command("version")(version.version)
if LOCAL:
    app.command("kafka", context_settings=kafka_tools.PASSED_ON)(kafka_tools.kafka)
    app.command("demo")(demo.demo)


def main() -> None:
    """What is away in the midst of a command is a message, and no traceback. Of each attempt to reach it the client would say more."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app(prog_name="redress")
    except MasterKeyAway as error:
        err.print(str(error), style="red", markup=False)
        raise SystemExit(1) from error
    except AWAY as error:
        what = "Kafka" if isinstance(error, KafkaError) else "A service" if isinstance(error, httpx.TransportError) else "Something"
        message = f"{what} does not answer: {type(error).__name__}: {error}. See what runs: redress status"
        err.print(harmless(message, layout=True), style="red", markup=False)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
