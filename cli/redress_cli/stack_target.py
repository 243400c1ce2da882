"""A stack of this machine as the commands look at it: its services, databases and Kafka, and tokens of its development issuer."""

from __future__ import annotations

from pathlib import Path

from redress_cli.console import kafka_of
from redress_cli.installation import DatabaseAddress, Installation
from redress_local.state import NotRunning, Stack, read_stack


def of_folder(folder: Path) -> Installation | None:
    """The stack that was started in the folder, if one was."""
    try:
        return of_stack(read_stack(folder))
    except NotRunning:
        return None


def of_stack(stack: Stack) -> Installation:
    def token(role: str, subject: str, department: str | None) -> str:
        return stack.token_issuer().mint(role, subject, department=department, ttl=12 * 3600)

    urls = {service: [first, *stack.further_urls.get(service, ())] for service, first in stack.urls.items()}
    return Installation(
        name=f"the stack in {stack.folder}",
        more="Start it with: redress up",
        urls=urls,
        operations=urls,
        databases={
            service: DatabaseAddress(each["app_dsn"], each["owner_dsn"], f"{each['name']}_app") for service, each in stack.databases.items()
        },
        reach_kafka=lambda: kafka_of(stack),
        partitions=stack.partitions,
        master_key_file=Path(stack.issuer["master_key"]),
        vault=lambda: None,
        mac_keys_dir=Path(stack.issuer["mac_keys"]),
        token=token,
        ours=True,
        processes={each.name: each.pid for each in stack.processes if each.process() is not None},
    )
