"""Personal data is in clear for those who work with it over HTTP, and nowhere else: not on any topic, in any table, or in any log."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest
from live import Live, eventually, ok

from redress_local.places import SERVICES
from redress_local.processes import run
from redress_spine.store import connections

random_words = random.Random(20260302)


def word() -> str:
    return "".join(random_words.choices("bcdfghjklmnpqrstvwxz", k=14))


PHONE = "139" + "".join(random_words.choices("0123456789", k=8))
# What nobody's catalogue has, and a file that is named after its owner.
LABELS = {"product": f"Fibre of {word()}", "area": f"12 St James Sq {word()}"}
NAMES = [f"passport of {word()}.jpg", f"router of {word()}.jpg"]
GIVEN = {
    "customer": f"Canary {word()}",
    "phone": PHONE,
    "email": f"{word()}@example.org",
    "address": f"7 Street {word()}",
    "account": f"AC{word()}",
    "service_number": f"SN{word()}",
    "on_behalf_of": f"Aunt {word()}",
    "contact_person": f"Neighbour {word()}",
    "text": f"宽带很慢,金丝雀 {word()}",
    "remedy": f"Please {word()}",
    "instruction": f"Ring {word()}",
}
LATER = {
    name: f"金丝雀 {word()}" for name in ("supplement", "chase", "note", "report", "transferred", "cause", "measures", "missed", "words")
}
SAID_OF_IT = {name: f"金丝雀 {word()}" for name in ("reason", "withdrawal")}
CANARIES = {**GIVEN, **LATER, **SAID_OF_IT, **LABELS, "attached": NAMES[0], "attached later": NAMES[1]}


def forms(canary: str) -> list[bytes]:
    """As somebody might find it: plain, as a JSON escape, as bytea in hex, and in the three base64 alignments."""
    secret = canary.rpartition(" ")[2] or canary
    plain = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4] for shift in range(3)]
    return [plain, canary.encode(), canary.encode("unicode_escape"), plain.hex().encode(), *shifted]


@pytest.fixture(scope="module")
def walked(live: Live) -> str:
    """A complaint that met every field and every kind of note on its way; closed."""
    complaint = live.register(channel="e-mail", attachments=NAMES[:1], **GIVEN, **LABELS)
    live.reaches(complaint, "routed")
    ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": LATER["supplement"], "attachments": NAMES[1:]}))
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {"text": LATER["chase"]}))
    said = {"category": "service_quality", "sub_category": "slow_internet", "severity": "serious", "reason": SAID_OF_IT["reason"]}
    ok(live.supervisor.post("triage", f"/complaints/{complaint}/reclassification", said))
    live.case(complaint, "technical_support")
    live.step(complaint, "technical_support", "transfer", {"department": "complaint_handling", "reason": LATER["transferred"]})
    live.step(complaint, "complaint_handling", "accept")
    live.step(complaint, "complaint_handling", "contact", {"means": "phone", "note": LATER["note"]})
    live.step(complaint, "complaint_handling", "progress", {"note": LATER["report"]})
    eventually(lambda: live.case(complaint, "complaint_handling")["stage"] == "accepted", "it is accepted")
    end = {"cause": LATER["cause"], "measures": LATER["measures"], "responsible_unit": "Team 2", "told_customer": "phone"}
    live.step(complaint, "complaint_handling", "resolve", end)
    live.visit(complaint, reached=False, note=LATER["missed"])
    live.visit(complaint, reached=True, solved=False, satisfaction=1, words=LATER["words"])
    live.case(complaint, "complaint_handling", cycle=2)
    ok(live.front_end.post("intake", f"/complaints/{complaint}/withdrawal", {"reason": SAID_OF_IT["withdrawal"]}))
    live.reaches(complaint, "closed", cycle=2)
    live.idle()
    return complaint


def test_who_works_with_it_reads_it(live: Live, walked: str):
    seen = live.view(walked)
    assert {name: seen["internal"].get(name, seen.get(name)) for name in GIVEN} == GIVEN
    assert [each["text"] for each in seen["said"]] == [LATER["supplement"], LATER["chase"], SAID_OF_IT["withdrawal"]]
    case = ok(live.handler("complaint_handling").get("handling", f"/cases/{walked}"))
    assert {name: case[name] for name in GIVEN} == GIVEN
    assert [case["transferred_because"], case["contacts"], case["answer"]["words"]][0::2] == [LATER["transferred"], LATER["words"]]
    assert [case["earlier"][0][name] for name in ("cause", "measures")] == [LATER["cause"], LATER["measures"]]


def test_what_no_catalogue_has_is_read_by_who_may_and_is_other_for_all(live: Live, walked: str):
    case = ok(live.handler("complaint_handling").get("handling", f"/cases/{walked}"))
    for seen in (live.view(walked), live.view(walked, "front-end"), case):
        assert (seen["product"], seen["area"]) == ("other", "other")
        assert (seen["product_said"], seen["area_said"]) == (LABELS["product"], LABELS["area"])
        assert (seen["attachments"], seen["attachment_names"]) == (["1"], NAMES[:1])
    said = [live.view(walked)["said"][0], case["supplements"][0]]
    assert [(each["attachments"], each["attachment_names"]) for each in said] == [(["2"], NAMES[1:])] * 2
    published = live.public_records(walked)[-1]
    assert (published["product"], published["area"]) == ("other", "other")


def test_who_answers_the_phone_finds_it_by_the_numbers_that_were_given(live: Live, walked: str):
    """Before the tables and logs are looked at: a search leaves no trace of what was searched for."""
    for body in ({"phone": f"＋86 {PHONE[:3]}-{PHONE[3:7]} {PHONE[7:]}"}, {"service_number": GIVEN["service_number"].upper()}):
        for caller in (live.agent, live.supervisor):
            answer = ok(caller.post("intake", "/complaints/search", body))
            assert [each["id"] for each in answer["items"]] == [walked]
            assert not found_in(str(answer).encode())


def test_who_has_no_need_does_not(live: Live, walked: str):
    for role in ("front-end", "ops"):
        seen = str(live.view(walked, role))
        hidden = [name for name in GIVEN if GIVEN[name] in seen and not (role == "front-end" and name in ("text", "remedy"))]
        assert not hidden, f"{role} reads {hidden}"
    lists = [live.supervisor.all("handling", "/cases"), live.agent.all("callback", "/visits"), live.api("ops").all("triage", "/reviews")]
    assert not found_in(str(lists).encode())


def test_no_topic_has_it_in_clear(live: Live, walked: str):
    records = live.records()
    assert any(record.key == f"complaint/{walked}".encode() for record in records)
    raw = b"\n".join(
        part
        for record in records
        for part in (record.key or b"", record.value or b"", *(name.encode() + value for name, value in record.headers))
    )
    assert not found_in(raw)


@pytest.mark.parametrize("service", SERVICES)
def test_no_column_of_any_table_has_it_in_clear(live: Live, walked: str, service: str):
    raw = run(everything(live.system.databases[service].owner_dsn))
    assert walked.encode() in raw, "the scan reads what is there"
    assert not found_in(raw)


def test_no_log_has_it(live: Live, walked: str):
    folder = Path(live.stack.folder)
    logs = [file for file in folder.rglob("*.log") if file.is_file() and not file.is_relative_to(folder / "kafka" / "data")]
    assert {f"{service}.log" for service in SERVICES} <= {file.name for file in logs}
    assert b"complaint/" + walked.encode() in (folder / "logs" / "handling.log").read_bytes(), "lines name the complaint"
    for file in logs:
        assert not found_in(file.read_bytes()), file


def found_in(raw: bytes) -> list[str]:
    """The names of the canaries that are there in any form."""
    return [name for name, canary in CANARIES.items() if any(form in raw for form in forms(canary))]


async def everything(dsn: str) -> bytes:
    """Every row of every table as text, bytea in hex and, where that is readable, as bytes too."""
    connection = await connections.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        assert len(tables) > 10
        parts = []
        for table in tables:
            for row in await connection.fetch(f"SELECT t::text AS text, t.* FROM {table['name']} t"):
                parts.append(row["text"].encode())
                parts += [value for value in row.values() if isinstance(value, bytes)]
        return b"\n".join(parts)
    finally:
        await connection.close()
