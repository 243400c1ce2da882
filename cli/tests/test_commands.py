"""The commands as a person types them, on stacks of their own (servers only: the services have their own tests)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError
from typer.testing import CliRunner

from redress_cli import main as main_module
from redress_cli.main import app
from redress_local.state import read_stack
from redress_spine.store import connections

SERVERS_ONLY = "import sys; from redress_local import system; system.System.__init__.__kwdefaults__['services'] = (); "
PROGRAM = SERVERS_ONLY + "from redress_cli.main import main; main()"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        yield Path(name) / "stack"
        redress("down", "--folder", str(Path(name) / "stack"))


def redress(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False)


def up(folder: Path) -> dict[str, Any]:
    done = redress("up", "--json", "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    state: dict[str, Any] = json.loads(done.stdout)
    return state


def test_what_runs_otherwise_than_asked_for_is_an_error_and_changes_nothing(folder):
    started = redress("up", "--folder", str(folder), "--replicas", "2", "--clock", "stepping", "--at", "2026-03-02T09:00+08:00")
    assert started.returncode == 0, started.stderr
    processes = read_stack(folder).processes

    same = ("--replicas", "2", "--clock", "stepping", "--at", "2026-03-02T09:00+08:00", "--settle", "2", "--log-level", "info")
    for words in ((), same):
        again = redress("up", "--folder", str(folder), *words)
        assert (again.returncode, again.stderr.split()[:2]) == (0, ["Already", "running"])

    for option, *value in (
        ("--replicas", "1"),
        ("--settle", "0"),
        ("--log-level", "DEBUG"),
        ("--clock", "wall"),
        ("--at", "2026-03-02T10:00+08:00"),
        ("--foreground",),
    ):
        other = redress("up", "--json", "--folder", str(folder), option, *value)
        assert (other.returncode, other.stdout) == (1, ""), option
        assert option in other.stderr
        assert "redress down" in other.stderr.replace("\n", " ")
    assert "--foreground" in redress("run", "--folder", str(folder)).stderr
    assert read_stack(folder).processes == processes


async def test_up_outlives_its_command_and_down_stops_all_of_it_and_keeps_the_data(folder):
    state = up(folder)
    assert read_stack(folder).running == ["postgres", "kafka"]
    assert stat.S_IMODE((folder / "state.json").stat().st_mode) == 0o600
    connection = await connections.connect(state["postgres"])
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.close()

    again = redress("up", "--folder", str(folder))
    assert again.returncode == 0
    assert "Already running" in again.stderr

    processes = [each.process() for each in read_stack(folder).processes]
    assert "Stopped postgres, kafka." in redress("down", "--folder", str(folder)).stderr
    assert not any(each and each.is_running() and each.status() != "zombie" for each in processes)
    assert redress("down", "--folder", str(folder)).returncode == 0

    state = up(folder)
    connection = await connections.connect(state["postgres"])
    assert await connection.fetch("SELECT * FROM kept") == []
    await connection.close()


@pytest.mark.parametrize("error", [KafkaConnectionError("none"), ConnectionRefusedError(), asyncpg.ConnectionDoesNotExistError("cut")])
def test_what_is_away_in_the_midst_of_a_command_is_a_sentence(error, monkeypatch, capsys):
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(main_module, "app", fails)
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    assert ended.value.code == 1
    assert "does not answer" in capsys.readouterr().err


def test_two_stacks_stand_side_by_side(folder):
    one, two = up(folder), up(folder.with_name("second"))
    try:
        assert one["kafka"] != two["kafka"]
        assert one["postgres"] != two["postgres"]
        redress("down", "--folder", str(folder))
        assert read_stack(folder.with_name("second")).running == ["postgres", "kafka"]
    finally:
        redress("down", "--folder", str(folder.with_name("second")))


def test_what_ended_of_a_stack_is_started_again_alone(folder):
    state = up(folder)
    pid = next(each["pid"] for each in state["processes"] if each["name"] == "kafka")
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while "kafka" in read_stack(folder).running:
        assert time.monotonic() < end
        time.sleep(0.02)
    again = redress("up", "--folder", str(folder))
    assert again.returncode == 0, again.stderr
    assert "Restarting what had ended: kafka" in again.stderr
    assert "kafka" in read_stack(folder).running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_stops_everything(folder, number):
    program = [sys.executable, "-c", PROGRAM, "up", "--foreground", "--folder", str(folder)]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "Ctrl-C" in line:
            break
    processes = [each.process() for each in read_stack(folder).processes]
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not any(each and each.is_running() for each in processes)
    assert not (folder / "state.json").exists()


def test_status_and_token_of_no_stack_say_how_to_start_one(tmp_path):
    for words in (["status"], ["token", "--role", "ops"]):
        result = CliRunner().invoke(app, [*words, "--folder", str(tmp_path)])
        assert result.exit_code == 1
        assert "redress up" in result.stderr


def test_an_unknown_role_is_refused_with_the_known_ones(tmp_path):
    result = CliRunner().invoke(app, ["token", "--role", "king", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "front-end" in result.stderr


@pytest.mark.parametrize("command", [[], ["up"], ["down"], ["run"], ["status"], ["token"], ["send-keys"]])
def test_help_of_every_command_has_an_example(command):
    text = CliRunner().invoke(app, [*command, "--help"]).output
    assert f"redress {' '.join(command) or 'up'}" in text
