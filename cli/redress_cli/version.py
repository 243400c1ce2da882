"""Which release and build this is, and which ones run."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from rich.table import Table

from redress_chassis.version import VERSION
from redress_cli.console import DEFAULT_FOLDER, AsJson, Folder, err, out
from redress_local.state import NotRunning, read_stack

UNKNOWN = "unknown"


def version(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Show the version and build of this command, and of each service of the stack in the folder, where one runs.

    A build is what REDRESS_BUILD says. During a release the services' differ: that is no error.

    Examples:

        redress version

        redress version --json | jq .services
    """
    ours = {"version": VERSION, "build": os.environ.get("REDRESS_BUILD") or UNKNOWN}
    theirs = running(folder)
    if as_json:
        print(json.dumps({**ours, "services": theirs}, indent=2))
        return
    out.print(f"redress {ours['version']}, build {ours['build']}", highlight=False, markup=False)
    if not theirs:
        return
    table = Table("service", "version", "build")
    for service, said in theirs.items():
        table.add_row(service, said["version"], said["build"])
    out.print(table)
    if len({said["version"] for said in theirs.values()} - {UNKNOWN} | {VERSION}) > 1:
        err.print("Not all of these are one version.", style="yellow")


def running(folder: Path) -> dict[str, dict[str, str]]:
    """What each replica says of itself, by its process's name; unknown where it does not answer."""
    try:
        urls = read_stack(folder).all_urls
    except NotRunning:
        return {}
    with httpx.Client(timeout=5.0, trust_env=False) as client, ThreadPoolExecutor() as threads:
        return dict(zip(urls, threads.map(lambda url: _asked(client, url), urls.values()), strict=True))


def _asked(client: httpx.Client, url: str) -> dict[str, str]:
    try:
        said = client.get(url + "/health/live").json()
        return {name: str(said.get(name, UNKNOWN)) for name in ("version", "build")}
    except (httpx.TransportError, ValueError, AttributeError):
        return dict.fromkeys(("version", "build"), UNKNOWN)
