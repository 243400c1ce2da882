"""A deadline that passes is breached by itself about a second later, exactly once; one that was kept is not, whether or not the monitor was
there to see it; and what it is told late is put right. Consultations are due in seconds here (quick-policy.yaml)."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from faults import paused, relay_held_back
from live import CONTACT, RESOLVE, Live, eventually, ok
from load import CONSULTATION, DUE_IN
from verdicts import wrong_verdicts

from redress_local.kafka import Kafka

NOTICED_WITHIN = timedelta(seconds=15)  # after the deadline; usually about one second, on a busy machine several


def asked(live: Live, seconds_ago: float = 0) -> tuple[str, datetime]:
    """A consultation that was received so long ago, and its deadline as its clock has it."""
    complaint = live.register(**CONSULTATION, received_at=(datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat())
    clock = eventually(lambda: resolve_clock(live, complaint), f"{complaint} has a clock")
    received = datetime.fromisoformat(live.view(complaint)["received_at"])
    deadline = datetime.fromisoformat(clock["deadline"])
    assert deadline == received + DUE_IN
    assert (clock["state"], clock["policy"]) == ("open", "quick@1")
    return complaint, deadline


def resolve_clock(live: Live, complaint: str) -> dict[str, Any] | None:
    answer = live.agent.get("sla-monitor", f"/complaints/{complaint}/clocks")
    clocks = ok(answer)["clocks"] if answer.status_code != 404 else []
    return next((each for each in clocks if each["clock"] == "resolve"), None)


def breaches(live: Live, complaint: str) -> int:
    return live.events("sla-monitor", "deadline-breached").count(f"complaint/{complaint}")


def breached(live: Live, complaint: str, deadline: datetime) -> dict[str, Any]:
    """Wait for the breach; its data on the log."""
    within = (deadline - datetime.now(UTC)).total_seconds() + 30
    eventually(lambda: breaches(live, complaint), f"{complaint} is breached after {deadline:%H:%M:%S}", within)
    found = eventually(
        lambda: [each.data for each in live.log() if each.subject == f"complaint/{complaint}" and "deadline-breached" in each.type],
        "the breach is on the log",
    )
    assert len(found) == 1
    assert datetime.fromisoformat(found[0]["deadline"]) == deadline
    return found[0]


def kept(live: Live, complaint: str) -> None:
    clock = eventually(lambda: met(live, complaint), f"{complaint}'s clock is met")
    assert (clock["in_time"], clock["verdict"], clock["ended"]) == (True, "none", "met")
    assert breaches(live, complaint) == 0


def met(live: Live, complaint: str) -> dict[str, Any] | None:
    clock = resolve_clock(live, complaint)
    return clock if clock and clock["state"] == "met" else None


def test_a_deadline_breaches_by_itself_once_and_one_that_was_kept_does_not(shaken: Live):
    in_time, kept_deadline = asked(shaken)
    late, deadline = asked(shaken)
    assert deadline >= kept_deadline
    shaken.work(in_time, "consulting")
    data = breached(shaken, late, deadline)
    noticed = datetime.fromisoformat(data["noticed_at"])
    assert timedelta(0) < noticed - deadline < NOTICED_WITHIN, f"noticed {noticed - deadline} after the deadline"
    kept(shaken, in_time)
    clock = resolve_clock(shaken, late)
    assert clock
    assert (clock["state"], clock["verdict"]) == ("late", "breached")
    assert any(each["complaint"] == late for each in shaken.api("ops").all("sla-monitor", "/deadlines", state="late"))

    # A breach is no end: the case goes on, and what comes late does not undo it.
    shaken.work(late, "consulting")
    shaken.visit(late, reached=True, solved=True, satisfaction=4)
    shaken.reaches(late, "closed")
    shaken.verified()
    assert breaches(shaken, late) == 1
    public = [each.data for each in shaken.log() if each.subject == f"closed/{late}"]
    assert [each["breaches"] for each in public] == [["resolve/1"]]


def test_a_monitor_that_was_away_over_the_deadline_breaches_what_was_missed_and_not_what_was_kept(shaken: Live):
    in_time, _ = asked(shaken)
    missed, deadline = asked(shaken)
    shaken.idle()
    shaken.system.stop_service("sla-monitor")
    shaken.work(in_time, "consulting")
    assert datetime.now(UTC) < deadline, "it was resolved in time"
    eventually(lambda: datetime.now(UTC) > deadline + timedelta(seconds=1), "the deadlines have passed", DUE_IN.total_seconds() + 2)
    shaken.system.start_service("sla-monitor")
    breached(shaken, missed, deadline)
    kept(shaken, in_time)
    shaken.verified()
    assert (breaches(shaken, missed), breaches(shaken, in_time)) == (1, 0)
    assert not set(shaken.events("sla-monitor", "breach-annulled")) & {f"complaint/{each}" for each in (in_time, missed)}


def test_what_was_kept_while_kafka_was_away_is_not_breached_before_the_news_arrives(shaken: Live, kafka: Kafka):
    in_time, _ = asked(shaken)
    missed, deadline = asked(shaken)
    shaken.case(in_time, "consulting")
    shaken.idle()
    kafka.kill()
    shaken.work(in_time, "consulting")
    assert datetime.now(UTC) < deadline, "it was resolved in time"
    eventually(lambda: datetime.now(UTC) > deadline + timedelta(seconds=2), "the deadlines have passed", DUE_IN.total_seconds() + 3)
    assert (breaches(shaken, in_time), breaches(shaken, missed)) == (0, 0), "nobody can know what the others have decided meanwhile"
    kafka.start()
    breached(shaken, missed, deadline)
    kept(shaken, in_time)
    shaken.verified()
    assert (breaches(shaken, missed), breaches(shaken, in_time)) == (1, 0)


def test_news_that_come_late_of_what_was_done_in_time_annul_a_breach_once_and_put_the_public_record_right(shaken: Live):
    complaint, deadline = asked(shaken)
    shaken.case(complaint, "consulting")
    shaken.step(complaint, "consulting", "accept")
    shaken.step(complaint, "consulting", "contact", CONTACT)
    with ExitStack() as monitor:
        with relay_held_back(shaken, "handling"):
            shaken.step(complaint, "consulting", "resolve", RESOLVE)
            assert datetime.now(UTC) < deadline, "it was resolved in time"
            breached(shaken, complaint, deadline)
            monitor.enter_context(paused(shaken, "sla-monitor"))
        # The news reach callback now, and the monitor last of all.
        shaken.visit(complaint, reached=True, solved=True, satisfaction=5)
        shaken.reaches(complaint, "closed")
        assert eventually(lambda: public(shaken, complaint), "it is published") == [(1, ["resolve/1"])]
    clock = eventually(lambda: met(shaken, complaint), f"{complaint}'s clock is met")
    assert (clock["in_time"], clock["verdict"]) == (True, "annulled")
    eventually(lambda: len(public(shaken, complaint)) == 2, "it is published once more")
    shaken.verified()
    assert public(shaken, complaint) == [(1, ["resolve/1"]), (2, [])]
    assert breaches(shaken, complaint) == 1
    assert shaken.events("sla-monitor", "breach-annulled").count(f"complaint/{complaint}") == 1
    assert wrong_verdicts(shaken.log()) == []


def public(live: Live, complaint: str) -> list[tuple[int, list[str]]]:
    """Each public record of it on the log: its revision and the breaches that it names."""
    found = [each.data for each in live.log() if each.subject == f"closed/{complaint}"]
    return sorted((each["revision"], each["breaches"]) for each in found)
