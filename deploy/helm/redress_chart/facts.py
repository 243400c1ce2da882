"""What the chart is told of the services, written to files/services.yaml: from services.toml, the contracts, the routes and the Dockerfile.

The templates read it, so a new service, topic or port needs no change of theirs.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import yaml

from redress_chassis import Service
from redress_chassis.serving import GRACE
from redress_events.vocabulary import EVENT_TOPICS, LIFECYCLE
from redress_local.gateway import operations
from redress_local.manifest import ServiceEntry, read_services
from redress_local.places import ROOT
from redress_local.rights import TOOLS, kafka_rights
from redress_spine.messaging.kafka_rights import group
from redress_spine.messaging.topics import wanted

OPS_PORT = 9090  # of a pod, for what is the operators': the network lets callers to the other port alone
POLICY, CATALOGUE = "REDRESS_POLICY", "REDRESS_CATALOGUE"  # a service whose entry in services.toml names one is told by a file
HEAD = "# Written by `make chart` from services.toml, the contracts, the routes and the Dockerfile. The templates read it.\n"


class NotFound(Exception):
    """The Dockerfile no longer says something that the chart repeats; the message names it."""


def written() -> str:
    """The text of files/services.yaml."""
    return HEAD + yaml.safe_dump(facts(), sort_keys=False, width=140)


def facts() -> dict[str, Any]:
    """Raises NotFound."""
    services = read_services(ROOT)
    return {
        "container": container(),
        "topics": [
            {"name": topic.name, "partitioned": topic.name in EVENT_TOPICS, "settings": dict(topic.settings)} for topic in wanted(2)
        ],
        "lifecycle": LIFECYCLE,
        "services": [_service(each) for each in services],
        "users": [{"name": name, "rights": _rights(name)} for name in TOOLS if name != "setup"],  # Strimzi needs nobody who makes topics
    }


def container() -> dict[str, Any]:
    """What the images are, as the Dockerfile makes them. grace: seconds that a server takes to end what is under way. Raises NotFound."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    return {
        "port": int(_said(r"^EXPOSE (\d+)$", text)),
        "ops_port": OPS_PORT,
        "user": int(_said(r"^USER (\d+):\1$", text)),
        "spool": _said(r"^ENV TMPDIR=(\S+)$", text),
        "grace": GRACE,
    }


def _said(pattern: str, text: str) -> str:
    found = {each[1] for each in re.finditer(pattern, text, re.MULTILINE)}
    if len(found) != 1:
        raise NotFound(f"The Dockerfile has {len(found)} lines like {pattern}, and the chart repeats one.")
    return str(found.pop())


def _service(entry: ServiceEntry) -> dict[str, Any]:
    module = importlib.import_module(f"{entry.package}.main")
    definition: Service = module.service
    document: dict[str, Any] = module.app.openapi()
    return {
        "name": entry.name,
        "port": entry.port,
        "database": entry.database,
        "operations": operations(document),
        "policy": POLICY in entry.environment,
        "catalogue": CATALOGUE in entry.environment,
        "webhooks": bool(document.get("webhooks")),
        "found_by_personal_values": any(aggregate.lookups for aggregate in definition.aggregates.values()),
        "group": group(entry.name),
        "rights": _rights(entry.name),
    }


def _rights(user: str) -> list[dict[str, Any]]:
    return [{"resource": each.kind, "name": each.name, "operations": list(each.operations)} for each in kafka_rights(user)]
