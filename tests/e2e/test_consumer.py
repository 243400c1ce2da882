"""The sample consumer of `docs/`, killed in the middle: nothing is lost, nothing is doubled, and the next run knows it all."""

from __future__ import annotations

import os
import runpy
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from live import Live, eventually

from redress_local.places import ROOT

CONSUMER = ROOT / "docs/closed_to_sqlite.py"
KILLED, RUN_SECONDS = 9, 280
# The consumer, ended as by kill -9 at one place.
BEFORE_WRITING = "import json; json.dumps = lambda *_: os._exit(9)"
AFTER_WRITING = "import aiokafka; aiokafka.AIOKafkaConsumer.commit = lambda *_: os._exit(9)"
PROGRAM = "import os, runpy, sys; {fault}; sys.argv = ['', {path!r}]; runpy.run_path({consumer!r}, run_name='__main__')"


def consume(live: Live, path: Path, fault: str = "pass") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(fault=fault, path=str(path), consumer=str(CONSUMER))
    kafka = os.environ | {"KAFKA": live.stack.kafka}
    return subprocess.run([sys.executable, "-c", program], env=kafka, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


def kept(path: Path) -> set[str]:
    with sqlite3.connect(path) as database:
        return {complaint for (complaint,) in database.execute("SELECT complaint FROM closed")}


def withdrawn(live: Live) -> str:
    complaint = live.register()
    live.front_end.post("intake", f"/complaints/{complaint}/withdrawal", {"reason": "It works again."})
    eventually(lambda: live.public_records(complaint), f"the end of {complaint} is published")
    return complaint


def test_a_consumer_that_is_killed_loses_nothing_and_the_next_run_knows_it_all(live: Live, tmp_path: Path):
    path = tmp_path / "closed.db"
    complaints = {withdrawn(live) for _ in range(3)}
    assert consume(live, path, BEFORE_WRITING).returncode == KILLED
    assert kept(path) == set()
    assert consume(live, path, AFTER_WRITING).returncode == KILLED
    assert kept(path), "the batch was written"

    whole = consume(live, path)
    assert whole.returncode == 0, whole.stderr
    assert complaints <= kept(path)
    live.idle()
    consume(live, path)
    again = consume(live, path)
    first, *rows = again.stdout.splitlines()
    assert (first, again.returncode) == ("0 new", 0)
    numbers_and_cycles = [tuple(row.split()[:2]) for row in rows]
    assert len(set(numbers_and_cycles)) == len(rows), "nothing is doubled"
    assert len({number for number, _ in numbers_and_cycles}) == len(kept(path))


@pytest.mark.parametrize("revisions", [(1, 2), (2, 1), (2, 2)])
def test_the_highest_revision_stays(tmp_path: Path, revisions: tuple[int, int]):
    module = runpy.run_path(str(CONSUMER))
    database = sqlite3.connect(tmp_path / "closed.db")
    database.executescript(module["TABLES"])
    for revision in revisions:
        database.execute(module["UPSERT"], ("c", revision, f'{{"revision": {revision}}}'))
    assert database.execute("SELECT revision, record FROM closed").fetchall() == [(2, '{"revision": 2}')]
    database.close()
