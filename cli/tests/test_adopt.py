"""What `redress adopt` says, and what it does not take for a record's place."""

from __future__ import annotations

from collections import Counter

import pytest
from typer import Exit
from typer.testing import CliRunner

from redress_cli.adopt import described, place_of
from redress_cli.main import app
from redress_spine.admin.adopt import Adopted


def test_it_says_what_was_adopted():
    events = Counter({"redress.intake.complaint-registered.v1": 2, "redress.intake.complaint-chased.v1": 1})
    done = Adopted("intake", events, {"complaint/1", "complaint/2"}, keys=2, unparked=1, rebased=True)
    assert described(done) == (
        "intake: took 3 events of 2 streams from the log (1 complaint-chased, 2 complaint-registered). 2 keys came back from the topic of "
        "keys. 1 parked complaints were healed. Its transactions were renumbered. Commands are accepted again."
    )
    assert described(Adopted("intake", was_at_home=True)) == "intake: the journal lacked nothing that is on the log. It was where it grew."


def test_a_place_is_topic_partition_and_offset():
    assert place_of("complaints.lifecycle.v1/3@4711") == ("complaints.lifecycle.v1", 3, 4711)
    for text in ("complaints.lifecycle.v1/3", "3@4711", "complaints.lifecycle.v1/x@1", ""):
        with pytest.raises(Exit):
            place_of(text)


def test_what_is_passed_over_for_ever_needs_a_reason():
    refused = CliRunner().invoke(app, ["adopt", "intake", "--skip", "complaints.lifecycle.v1/3@4711"])
    assert refused.exit_code == 1
    assert "--skip needs --why" in refused.stderr


def test_a_record_is_passed_over_in_the_name_of_one_service():
    words = ["--skip", "complaints.lifecycle.v1/3@4711", "--why", "forged"]
    refused = CliRunner().invoke(app, ["adopt", "intake", "triage", *words])
    assert refused.exit_code == 1
    assert "adopt only that one" in refused.stderr
