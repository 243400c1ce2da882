"""Which release and build this is, and which ones run."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import httpx
from rich.table import Table

from redress_chassis.version import VERSION
from redress_cli.api import client
from redress_cli.console import AsJson, err, out
from redress_cli.harmless import foreign
from redress_cli.installation import Installation
from redress_cli.target import ContextName, StackFolder, found
from redress_local.places import replica_name

UNKNOWN = "unknown"


def version(folder: StackFolder = None, context: ContextName = None, as_json: AsJson = False) -> None:
    """Show the version and build of this command, and of each service of the installation, where there is one.

    A build is what REDRESS_BUILD says. During a release the services' differ: that is no error.

    Examples:

        redress version

        redress version --json | jq .services
    """
    ours = {"version": VERSION, "build": os.environ.get("REDRESS_BUILD") or UNKNOWN}
    where = found(folder, context)
    theirs = running(where) if where else {}
    if as_json:
        print(json.dumps({**ours, "services": theirs}, indent=2))
        return
    out.print(f"redress {ours['version']}, build {ours['build']}", highlight=False, markup=False)
    if not theirs:
        return
    table = Table("service", "version", "build")
    for service, said in theirs.items():
        table.add_row(service, foreign(said["version"]), foreign(said["build"]))
    out.print(table)
    if len({said["version"] for said in theirs.values()} - {UNKNOWN} | {VERSION}) > 1:
        err.print("Not all of these are one version.", style="yellow")


def running(where: Installation) -> dict[str, dict[str, str]]:
    """What each replica says of itself, by its process's name; unknown where it does not answer."""
    urls = {replica_name(service, n): url for service, each in where.urls.items() for n, url in enumerate(each, start=1)}
    with client(where, timeout=5.0) as http, ThreadPoolExecutor() as threads:
        return dict(zip(urls, threads.map(lambda url: _asked(http, url), urls.values()), strict=True))


def _asked(http: httpx.Client, url: str) -> dict[str, str]:
    try:
        said = http.get(url + "/health/live").json()
        return {name: str(said.get(name, UNKNOWN)) for name in ("version", "build")}
    except (httpx.TransportError, ValueError, AttributeError):
        return dict.fromkeys(("version", "build"), UNKNOWN)
