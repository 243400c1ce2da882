"""A customer is forgotten: nobody reads their words any more, in whatever service, nothing finds them, and the history stays whole."""

from __future__ import annotations

from typing import Any

import pytest
from live import SLOW, Live, eventually, ok, problem
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import KEYS
from redress_local.places import SERVICES
from redress_spine.store.vault import MAKER, PROOF

PHONE = "13987650001"
WHY = {"asked_by": "customer", "reason": "The customer's letter of 2 March, ticket 4711."}
GIVEN = {"customer": "Forgotten Wang", "phone": PHONE, "service_number": "SN-FORGOTTEN-1", "address": "7 Forgotten Street"}
SAID = {"text": SLOW, "supplement": "Since Sunday it is worse.", "note": "They were angry.", "reason": "It works again."}
LEFT = """
SELECT (SELECT count(*) FROM public.keys WHERE subject = $1 AND destroyed), (SELECT count(*) FROM public.keys WHERE subject = $1),
    (SELECT count(*) FROM sealed WHERE subject = $1), (SELECT count(*) FROM lookups WHERE subject = $1)
"""


def redress(live: Live, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--folder", live.stack.folder])


@pytest.fixture(scope="module")
def closed(live: Live) -> str:
    """A complaint with words of the customer, of an agent and of a handler, and the numbers by which it is found; withdrawn."""
    complaint = live.register(SLOW, **GIVEN)
    live.case(complaint, "technical_support")
    ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": SAID["supplement"]}))
    live.step(complaint, "technical_support", "accept")
    live.step(complaint, "technical_support", "contact", {"means": "phone", "note": SAID["note"]})
    refusal = problem(live.supervisor.post("intake", f"/complaints/{complaint}/forgetting", WHY), 409, "complaint-open")
    assert "withdraw it first" in refusal["detail"]
    ok(live.front_end.post("intake", f"/complaints/{complaint}/withdrawal", {"reason": SAID["reason"]}))
    live.reaches(complaint, "closed")
    live.idle()
    return complaint


def read_everywhere(live: Live, complaint: str) -> str:
    """All that the services show of it to whoever may see most."""
    found: list[Any] = [live.view(complaint), ok(live.agent.get("intake", f"/complaints/{complaint}/said"))]
    found.append(ok(live.supervisor.get("handling", f"/cases/{complaint}")))
    found.append(ok(live.supervisor.get("triage", f"/complaints/{complaint}/classification")))
    found.append(ok(live.agent.get("callback", f"/visits/{complaint}")))
    found.append(ok(live.supervisor.get("sla-monitor", f"/complaints/{complaint}/clocks")))
    return str(found)


def searched(live: Live) -> list[str]:
    bodies = [{"phone": PHONE}, {"service_number": GIVEN["service_number"]}]
    return [each["id"] for body in bodies for each in ok(live.agent.post("intake", "/complaints/search", body))["items"]]


def test_a_forgotten_complaint_is_read_by_nobody_found_by_nothing_and_stays_so(live: Live, closed: str):
    before = read_everywhere(live, closed)
    assert SLOW in before and GIVEN["customer"] in before and SAID["note"] in before
    assert searched(live) == [closed, closed]
    for caller in (live.front_end, live.agent, live.handler("technical_support"), live.api("ops")):
        problem(caller.post("intake", f"/complaints/{closed}/forgetting", WHY), 403, "wrong-role")
    number = live.view(closed)["number"]
    twice = redress(live, "forget", number, closed, "--asked-by", "customer", "--reason", WHY["reason"])
    assert twice.exit_code == 1 and twice.output.count(number) == 1, "named twice, it is one complaint"
    short = live.supervisor.post("intake", f"/complaints/{closed}/forgetting", WHY | {"reason": "short"})
    assert "Write 20 characters at least." in problem(short, 422, "invalid")["detail"]

    asked = redress(live, "forget", number, "--asked-by", "customer", "--reason", WHY["reason"])
    assert asked.exit_code == 1 and "add --yes" in asked.output, "nobody is there to be asked"
    told = redress(live, "forget", number, "--asked-by", "customer", "--reason", WHY["reason"], "--yes")
    assert told.exit_code == 0 and f"{number} is forgotten since" in told.output, told.output
    again = ok(live.supervisor.post("intake", f"/complaints/{closed}/forgetting", WHY))
    assert again["forgotten_at"] == live.view(closed)["forgotten_at"]

    def gone() -> bool:
        return all(tuple(live.sql(service, LEFT, f"complaint/{closed}")[0]) == (1, 1, 0, 0) for service in SERVICES)

    eventually(gone, "no service has its key, its ciphertexts, or what it is found by")
    assert searched(live) == []
    after = read_everywhere(live, closed)
    assert not [words for words in (*GIVEN.values(), *SAID.values()) if words in after]
    assert live.view(closed)["counts"]["supplements"] == 1, "numbers stay"
    problem(live.front_end.post("intake", f"/complaints/{closed}/supplements", {"text": "More"}), 409, "complaint-closed")


def test_the_tombstone_has_intakes_proof_and_every_service_knows_whom_it_forgot(live: Live, closed: str):
    subject = f"complaint/{closed}"
    (tombstone,) = [record for record in live.records((KEYS,)) if record.value is None and record.key == subject.encode()]
    assert live.stack.mac_keys().proves_destroyed(MAKER, subject, dict(tombstone.headers)[PROOF])
    events = [each for each in live.log() if each.type.startswith("redress.intake.complaint-forgotten.")]
    (event,) = [each for each in events if each.subject == subject]
    assert (event.actor.partition(":")[0], event.data["asked_by"]) == ("supervisor", "customer")
    live.verified()
    verified = redress(live, "verify", "--json")
    assert verified.exit_code == 0 and verified.output.count(f'"forgotten": {len(events)}') == len(SERVICES), verified.output


def test_rebuilt_from_log_and_journal_it_stays_forgotten(live: Live, closed: str):
    for service in ("intake", "handling"):
        rebuilt = redress(live, "rebuild", service, "--yes")
        assert rebuilt.exit_code == 0, rebuilt.output
        assert tuple(live.sql(service, LEFT, f"complaint/{closed}")[0]) == (1, 1, 0, 0)
    assert searched(live) == []
    after = read_everywhere(live, closed)
    assert not [words for words in (*GIVEN.values(), *SAID.values()) if words in after]
    assert redress(live, "verify").exit_code == 0
