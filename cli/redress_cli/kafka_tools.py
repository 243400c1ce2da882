"""Kafka's own command-line tools, from the local stack's jars and pointed at the Kafka that the other commands look at."""

from __future__ import annotations

import shutil
import subprocess
from typing import Annotated

import typer

from redress_cli.console import fail, out
from redress_cli.harmless import harmless
from redress_cli.target import ContextName, StackFolder, installation
from redress_local.places import KAFKA_LIBS

TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "org.apache.kafka.tools.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
}
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h"]}
JVM = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Djava.awt.headless=true")
BOOTSTRAP = "--bootstrap-server"


def kafka(
    rest: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help=f"One of {', '.join(TOOLS)}: Kafka's kafka-TOOL.sh.")],
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Run one of Kafka's own tools: what stands behind its name goes to it, and its --help is its own. It is pointed at the stack's Kafka,
    or at a context's. Where that has TLS or users, give --command-config with a file as Kafka's tools read it.

    Examples:

        redress kafka topics --describe --topic complaints.lifecycle.v1

        redress kafka consumer-groups --describe --group redress-intake

        redress kafka console-consumer --topic complaints.closed.v1 --from-beginning --max-messages 1
    """
    if tool not in TOOLS:
        fail(f"There is no tool {tool!r}. Tools: {', '.join(TOOLS)}.")
    java = shutil.which("java")
    if java is None or not any(KAFKA_LIBS.glob("kafka-tools-[0-9]*.jar")):
        fail(
            f"Kafka's tools need Java 17 or newer and the jars in {KAFKA_LIBS}. `make check` says what is missing, `make setup` fetches it."
        )
    words = list(rest.args)
    if not any(each.startswith((BOOTSTRAP, "--help", "--version")) for each in words):
        clients = installation(folder, context).kafka()
        if clients.security != "PLAINTEXT" and not any("config" in each for each in words):
            fail(f"This Kafka is reached by {clients.security}: say how in a file for Kafka's own tools, and name it by --command-config.")
        words += [BOOTSTRAP, clients.bootstrap]
    line = [java, *JVM, "-cp", f"{KAFKA_LIBS}/*", TOOLS[tool], *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace") as running:
        assert running.stdout is not None, "It is a pipe."
        try:
            for each in running.stdout:
                out.print(harmless(each.rstrip("\n")), markup=False, highlight=False, soft_wrap=True)  # records are others' words
        except KeyboardInterrupt:
            running.terminate()
            raise typer.Exit(130) from None
    if running.returncode:
        raise typer.Exit(1)
