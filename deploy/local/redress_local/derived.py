"""What other files say of the services, made from services.toml: `python -m redress_local.derived [--check]`.

A file has such places in two forms: lines between `# from services.toml: <what>` and `# end of <what>`; and, inside a line, the folders of
all services with colons between (`services/intake:services/triage`), as search paths have them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path

from redress_local.manifest import ServiceEntry, read_services
from redress_local.places import ROOT

BLOCK = re.compile(r"^(?P<indent> *)# from services\.toml: (?P<what>[a-z]+)\n.*?^ *# end of (?P=what)\n", re.MULTILINE | re.DOTALL)
FOLDERS = re.compile(r"(?P<before>/app/|)services/[a-z0-9-]+(?::(?P=before)services/[a-z0-9-]+)*")
VARIABLES = "libs/chassis/redress_chassis/variables.py"
Services = Sequence[ServiceEntry]


class NoPlace(Exception):
    """A file no longer has the places that are written from services.toml."""


def packages(services: Services) -> list[str]:
    return [f'"{each.package}",' for each in services]


def domains(services: Services) -> list[str]:
    return [f'"{each.package}.domain",' for each in services]


def contracts(services: Services) -> list[str]:
    """Python as ruff formats it, however many there are."""
    constants = [each.constant for each in services]
    imported = sorted((each.contract, each.constant) for each in services)
    return [
        *(f"from {module} import {constant}" for module, constant in imported),
        "",
        "CONTRACTS = {",
        "    contract.source: contract",
        "    for contract in (",
        *(f"        {constant}," for constant in constants),
        "    )",
        "}",
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in sorted([*constants, "CONTRACTS"])),
        "]",
    ]


def containers(services: Services) -> list[str]:
    """Entries of docker-compose.yml."""
    return [line for each in services for line in _container(each)]


def _container(service: ServiceEntry) -> list[str]:
    name, database = service.name, service.database
    volumes = [f"    - {json.dumps(each)}" for each in ("service-keys:/keys:ro", *service.volumes)]
    return [
        f"{name}:",
        "  <<: *service",
        f"  image: redress/{name}",
        f'  build: {{ context: ., target: service, args: {{ SERVICE: {name}, BUILD: "${{REDRESS_BUILD:-unknown}}" }} }}',
        "  environment:",
        "    <<: *told",
        f"    REDRESS_DATABASE_URL: postgresql://{database}_app:${{REDRESS_APP_PASSWORD:-local-app}}@postgres:5432/{database}",
        *(f"    {variable}: {json.dumps(value)}" for variable, value in service.environment.items()),
        *(["  volumes:", *volumes] if service.volumes else []),
        f'  ports: ["127.0.0.1:${{REDRESS_{service.constant}_PORT:-{service.port}}}:8080"]',
        "",
    ]


def names(services: Services) -> list[str]:
    return [f'"{each.name}",' for each in services]


BLOCKS: Mapping[str, Callable[[Services], list[str]]] = {
    "packages": packages,
    "domains": domains,
    "contracts": contracts,
    "containers": containers,
    "names": names,
}


def contracts_file(service: ServiceEntry) -> str:
    """Where a service's contract module is, below the root."""
    return f"libs/events/{service.contract.replace('.', '/')}.py"


def expected_places(services: Services) -> dict[str, int]:
    """The files, and how many places each has."""
    init = str(Path(contracts_file(services[0])).with_name("__init__.py"))
    return {"pyproject.toml": 5, "Dockerfile": 1, "docker-compose.yml": 1, VARIABLES: 1, init: 1}


def derived(root: Path) -> dict[str, tuple[str, str]]:
    """By file: what it says, and what it has to say. Raises NoPlace."""
    services = read_services(root)
    found = {}
    for name, count in expected_places(services).items():
        before = (root / name).read_text("utf-8")
        after, blocks = BLOCK.subn(lambda place: _block(place, services), before)
        after, lines = FOLDERS.subn(lambda place: ":".join(f"{place['before']}services/{each.name}" for each in services), after)
        if blocks + lines != count:
            raise NoPlace(f"{name} has {blocks + lines} places that are written from services.toml, not {count}: see {__name__}.")
        found[name] = before, after
    return found


def _block(place: re.Match[str], services: Services) -> str:
    indent, what = place["indent"], place["what"]
    lines = [f"# from services.toml: {what}", *BLOCKS[what](services), f"# end of {what}"]
    return "".join(f"{indent}{line}\n" if line else "\n" for line in lines)


def write(root: Path) -> list[str]:
    """The files that changed."""
    changed = {name: after for name, (before, after) in derived(root).items() if after != before}
    for name, text in changed.items():
        (root / name).write_text(text, "utf-8")
    return list(changed)


def drift(root: Path) -> list[str]:
    """Unified diffs of the files that say otherwise."""
    return [
        "".join(unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (from services.toml)"))
        for name, (before, after) in derived(root).items()
        if after != before
    ]


def main() -> int:
    """0: written, or in agreement. 1: drifted."""
    parser = argparse.ArgumentParser(prog="python -m redress_local.derived", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail with a diff where a file says otherwise")
    if not parser.parse_args().check:
        print("\n".join(write(ROOT)) or "Nothing changed.")
        return 0
    if differences := drift(ROOT):
        print("\n".join(differences), file=sys.stderr)
        print("services.toml and these files disagree. Run `make services`, look at what changed, and commit it.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
