"""What `version` says of itself and of what runs."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from redress_chassis.version import VERSION
from redress_cli.main import app
from redress_local.state import Stack


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.host == "old":
        return httpx.Response(200, json={"status": "live", "version": "0.0.9", "build": "1a2b3c4"})
    if request.url.host == "other":
        return httpx.Response(502, text="<html>no service</html>")
    raise httpx.ConnectError("nobody listens")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack of three services: an older release, something else at the port, and nobody."""
    urls = {"intake": "http://old", "triage": "http://other", "handling": "http://away"}
    Stack(str(tmp_path), "local", "", "", 12, urls, {}, {}, {"master_key": "", "mac_keys": ""}, []).write()
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **options: client(transport=httpx.MockTransport(answer), **options))
    return tmp_path


def test_each_service_says_what_it_is_and_a_service_that_is_away_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDRESS_BUILD", "5d6e7f8")
    said = json.loads(CliRunner().invoke(app, ["version", "--json", "--folder", str(folder)]).stdout)
    unknown = {"version": "unknown", "build": "unknown"}
    assert said == {
        "version": VERSION,
        "build": "5d6e7f8",
        "services": {"intake": {"version": "0.0.9", "build": "1a2b3c4"}, "triage": unknown, "handling": unknown},
    }
    shown = CliRunner().invoke(app, ["version", "--folder", str(folder)])
    assert shown.exit_code == 0
    assert f"redress {VERSION}, build 5d6e7f8" in shown.output
    assert "Not all of these are one version." in shown.output


def test_where_nothing_runs_the_command_speaks_of_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REDRESS_BUILD", raising=False)
    shown = CliRunner().invoke(app, ["version", "--folder", str(tmp_path)])
    assert (shown.exit_code, shown.output) == (0, f"redress {VERSION}, build unknown\n")
