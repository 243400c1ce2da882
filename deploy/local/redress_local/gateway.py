"""One address for all services: what the proxy of docker-compose.yml is told, and one OpenAPI document of all.

`python -m redress_local.gateway [--check]` writes deploy/gateway/Caddyfile and openapi.json beside it from services.toml and the routes.
An operation stands under its service's name: `/complaints` of intake is `/intake/complaints`, as the Helm chart has it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from http import HTTPStatus
from pathlib import Path
from typing import Any

from redress_local.manifest import ServiceEntry, read_services
from redress_local.places import ROOT

FOLDER = ROOT / "deploy" / "gateway"
OPERATORS = "ops"  # paths under it are the operators', and not for callers from outside
METHODS = ("get", "put", "post", "delete", "patch")
OpenApiDocument = Mapping[str, Any]
MOST_LINES = 60  # of a difference

CADDYFILE = """\
# One address for all services under Docker Compose. Written by `make services` from services.toml and the routes (redress_local.gateway).
# Callers reach operations alone: health, metrics, documents and /ops stay at the services' own ports.
{
	admin off
	auto_https off
	servers {
		max_header_size 32KB
		timeouts {
			read_header 10s
			idle 75s
		}
	}
}

:8080 {
%s
	handle /health/live {
		respond 204
	}

	handle /openapi.json {
		root * /srv
		file_server
	}

	handle {
		header Content-Type application/problem+json
		respond `%s` 404
	}

	handle_errors {
		header Content-Type application/problem+json
		header Retry-After 5
		respond `%s` 503
	}
}
"""
ROUTE = """\
	@{name} path_regexp ^/{name}/({operations})(/|$)
	handle @{name} {{
		uri strip_prefix /{name}
		reverse_proxy {name}:8080 {{
			header_up X-Forwarded-Prefix /{name}
			flush_interval -1
		}}
	}}
"""


class Clash(Exception):
    """Two services use one name for two things; the message names it."""


def documents(services: Sequence[ServiceEntry]) -> dict[str, OpenApiDocument]:
    """The OpenAPI document of each service."""
    return {each.name: importlib.import_module(f"{each.package}.main").app.openapi() for each in services}


def operations(document: OpenApiDocument) -> list[str]:
    """The first parts of the paths that callers from outside ask for."""
    return sorted({path.split("/")[1] for path in document["paths"]} - {OPERATORS})


def caddyfile(of: Mapping[str, OpenApiDocument]) -> str:
    """What the proxy is told."""
    routes = "\n".join(ROUTE.format(name=name, operations="|".join(operations(each))) for name, each in of.items())
    nothing = _problem(404, "not-found", "There is nothing at this path. /openapi.json lists all paths.")
    away = _problem(503, "unavailable", "The service behind this path does not answer now. Repeat after Retry-After seconds.")
    return CADDYFILE % (routes, nothing, away)


def _problem(status: int, code: str, detail: str) -> str:
    """As the services say it, without a trace: none of them was asked."""
    title = HTTPStatus(status).phrase
    return json.dumps({"type": f"urn:redress:problem:{code}", "title": title, "status": status, "detail": detail, "code": code})


def combined(of: Mapping[str, OpenApiDocument]) -> dict[str, Any]:
    """One document of all. Raises Clash where a schema or an operation's id means two things."""
    first = next(iter(of.values()))
    whole: dict[str, Any] = {
        "openapi": first["openapi"],
        "info": {**first["info"], "title": "Redress", "summary": "Complaints from registration to closed: all services at one address."},
        "servers": [{"url": "/"}],
        "tags": [],
        "paths": {},
        "webhooks": {},
        "components": {},
    }
    ids: dict[str, str] = {}
    for name, document in of.items():
        for path, item in document["paths"].items():
            if path.split("/")[1] == OPERATORS:
                continue
            whole["paths"][f"/{name}{path}"] = item
            for operation in (item[method] for method in METHODS if method in item):
                if (other := ids.setdefault(operation["operationId"], name)) != name:
                    raise Clash(f"{name} and {other} both have an operation {operation['operationId']}.")
        whole["webhooks"] |= document.get("webhooks", {})
        whole["tags"] += [tag for tag in document.get("tags", []) if tag not in whole["tags"]]
        for kind, entries in document.get("components", {}).items():
            known = whole["components"].setdefault(kind, {})
            for title, entry in entries.items():
                if known.setdefault(title, entry) != entry:
                    raise Clash(f"{name} has another {title} under components/{kind} than a service before it.")
    return _without_unused({key: value for key, value in whole.items() if value})


def _without_unused(whole: dict[str, Any]) -> dict[str, Any]:
    """Without the schemas and tags of the operators' paths."""
    schemas, used = whole["components"]["schemas"], set[str]()
    waiting = _referred({key: value for key, value in whole.items() if key != "components"})
    while waiting:
        used.add(name := waiting.pop())
        waiting |= _referred(schemas[name]) - used
    items = [*whole["paths"].values(), *whole.get("webhooks", {}).values()]
    tags = {tag for item in items for operation in item.values() for tag in operation.get("tags", ())}
    components = {**whole["components"], "schemas": {name: schema for name, schema in schemas.items() if name in used}}
    return {**whole, "tags": [tag for tag in whole.get("tags", []) if tag["name"] in tags], "components": components}


def _referred(part: Any) -> set[str]:
    """The schemas that something refers to."""
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def written() -> dict[Path, str]:
    """The files and their text. Raises Clash."""
    of = documents(read_services(ROOT))
    return {
        FOLDER / "Caddyfile": caddyfile(of),
        FOLDER / "openapi.json": json.dumps(combined(of), indent=1, ensure_ascii=False) + "\n",
    }


def main() -> int:
    """0: written, or in agreement. 1: drifted, or a clash."""
    parser = argparse.ArgumentParser(prog="python -m redress_local.gateway", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail with a diff where a file says otherwise")
    check = parser.parse_args().check
    try:
        files = written()
    except Clash as error:
        print(error, file=sys.stderr)
        return 1
    before = {path: path.read_text("utf-8") if path.is_file() else "" for path in files}
    changed = {path: text for path, text in files.items() if text != before[path]}
    if not check:
        for path, text in changed.items():
            path.write_text(text, "utf-8")
        print("\n".join(str(path.relative_to(ROOT)) for path in changed) or "Nothing changed.")
        return 0
    for path, text in changed.items():
        name = str(path.relative_to(ROOT))
        lines = list(unified_diff(before[path].splitlines(True), text.splitlines(True), name, f"{name} (written)"))
        print("".join(lines[:MOST_LINES]), file=sys.stderr)
    if changed:
        print("The gateway's files and the code disagree. Run `make services`, look at what changed, and commit it.", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
