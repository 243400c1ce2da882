"""Whoever reaches the broker, and has neither a source's key nor the master key, moves no state, destroys no key, and is told of."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from spine_log import Author, Pen, Sent, adopted, described, idle, on_the_log, pen, rebuild, states, subject_of, verified
from spine_stack import MAC, MASTER, Stack, eventually, metadata, opened, registered
from structlog.testing import capture_logs

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.contracts.intake import ComplaintChased
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.admin.restore_log import Access, RestoreLog
from redress_spine.admin.verify import verify
from redress_spine.messaging import mac
from redress_spine.messaging.envelope import chain
from redress_spine.messaging.mac import MacKeys, make_keys
from redress_spine.processing.parking import decided
from redress_spine.store.engine import Engine
from redress_spine.store.errors import CannotRestore
from redress_spine.store.own_events import AdoptionRefused
from redress_spine.store.vault import MAKER, PROOF

REF = "intake/1/text"
CASE = CaseOpened(cycle=1, routing=1, department="of the forger's choice")


def by(keys: MacKeys, signer: str, record: Sent, topic: str) -> Sent:
    """Signed with this source's key, whatever the record says."""
    prevhash = dict(record.headers).get("prevhash")
    digest = chain(prevhash or b"", record.value or b"")
    own = keys.sign(signer, topic, record.key or b"", record.value, prevhash, digest)
    return replace(record, headers=[*record.headers, own], signed=False)


def unsigned(record: Sent) -> Sent:
    return replace(record, signed=False)


async def reasons(engine: Engine, count: int) -> list[str]:
    """Why records were set aside, once so many are."""

    async def there() -> list[str]:
        found = [each.reason for each in await engine.parking.dead_letters()]
        return sorted(found) if len(found) >= count else []

    found: list[str] = await eventually(there)
    assert dict(engine.projector.set_aside) == {reason: found.count(reason) for reason in set(found)}
    return found


async def said(hand: Pen, author: Author) -> Sent:
    """The complaint, registered by who has the key."""
    (first,) = author.say(registered("secret"))
    await hand.write(first)
    return first


async def test_an_event_with_the_right_chain_moves_nothing_unless_its_source_signed_it(stack: Stack, tmp_path: Path) -> None:
    author, topic = Author(subject_of(1)), stack.prefix + LIFECYCLE
    engine = await stack.engine("handling", automations=[])
    theirs = MacKeys({"intake.1": bytes(32), "intake.7": bytes(32)})
    async with pen(stack) as hand:
        await said(hand, author)
        before = author.row  # the forger has read the log: it knows the last hash
        (chased,) = author.say(ComplaintChased(chase=1))
        author.row = before
        with capture_logs() as alarms:
            await hand.write(
                unsigned(chased),
                by(theirs, "intake", chased, topic),
                by(MacKeys({"intake.1": bytes(32)}), "intake", chased, topic),
                by(MAC, "handling", chased, topic),
                unsigned(replace(chased, headers=[*chased.headers, ("mac", b"intake.1.")])),
                unsigned(replace(chased, value=b"{")),
                *map(unsigned, Author(subject_of(1), HANDLING).say(CASE)),  # in the reader's own name
            )
            assert await reasons(engine, 7) == ["unknown-mac-key", *["unsigned"] * 3, *["wrong-mac"] * 3]
        told = [each for each in alarms if each["event"] == "set-aside"]
        assert len(told) == 7 and {each["log_level"] for each in told} == {"error"}
        loaded = await engine.read(author.subject)
        assert (loaded.state.observed.chases, loaded.state.own.opened) == (0, 0) and await engine.parking.subjects() == []
        # The forgeries are passed over for ever, and the event itself, to the byte the same, is none of them.
        while aside := await engine.parking.dead_letters():
            held = await engine.parking.held(place=(aside[0].partition, aside[0].offset), topic=aside[0].topic)
            assert held is not None
            await engine.pass_over([decided(held)], "ops:bob", "forged, ticket 4711")
        await hand.write(*author.say(ComplaintChased(chase=1)))

        async def moved() -> bool:
            return bool((await engine.read(author.subject)).state.observed.chases == 1)

        await eventually(moved)
    await idle(engine)
    await verified(stack, "handling")
    found = await states(stack, "handling")
    await rebuild(stack, "handling", tmp_path)
    assert await states(stack, "handling") == found
    await verified(stack, "handling")


async def test_a_genuine_record_counts_in_its_own_place_alone(stack: Stack) -> None:
    author = Author(subject_of(1))
    engine = await stack.engine("handling", automations=[])
    async with pen(stack) as hand:
        first = await said(hand, author)
        (genuine,) = [each for each in await on_the_log(stack, LIFECYCLE, stack.partitions) if each.key == first.key]
        copy = Sent(genuine.key, genuine.value, list(genuine.headers), signed=False)
        other = next(subject_of(n) for n in range(2, 99) if Sent(subject_of(n).encode(), None).place() == copy.place())
        await hand.write(copy, replace(copy, partition=(copy.place() + 1) % stack.partitions), replace(copy, key=other.encode()))
        elsewhere = by(MAC, "intake", first, "another." + LIFECYCLE)  # of another installation with the same keys
        await hand.write(elsewhere)
        assert await reasons(engine, 3) == ["wrong-mac", "wrong-mac", "wrong-partition"]
        assert await engine.parking.subjects() == []
        await hand.write(copy, topic=KEYS)
        assert await reasons(engine, 4) == ["wrong-mac", "wrong-mac", "wrong-mac", "wrong-partition"]
    await verified(stack, "handling")


async def test_a_null_record_destroys_a_key_only_with_the_makers_proof_and_a_signature(stack: Stack) -> None:
    intake, engine = await stack.engine("intake"), await stack.engine("handling", automations=[])
    subject = (await intake.create("complaint", lambda context: [registered("secret")], metadata("k")))[0].subject
    await eventually(lambda: opened(engine, subject, REF))
    key, topic = subject.encode(), stack.prefix + KEYS
    (sent,) = await on_the_log(stack, KEYS, 1)
    proof = MAC.prove_destroyed(MAKER, subject)
    bad = [
        unsigned(Sent(key, None)),
        unsigned(Sent(key, None, [(PROOF, proof)])),
        by(MacKeys({"intake.1": bytes(32)}), "intake", Sent(key, None, [(PROOF, proof)]), topic),
        by(MAC, "intake", Sent(key, None), topic),
        by(MAC, "intake", Sent(key, None, [(PROOF, MAC.prove_destroyed("handling", subject))]), topic),
        by(MAC, "intake", Sent(key, None, [(PROOF, MAC.prove_destroyed(MAKER, subject_of(9)))]), topic),
        unsigned(Sent(key, sent.value)),  # our own key, by somebody who has copied it
    ]
    async with pen(stack) as hand:
        await hand.write(*bad, topic=KEYS)
        wanted = [*["not-proved"] * 3, *["unsigned"] * 3, "wrong-mac"]
        assert await reasons(engine, len(bad)) == await reasons(intake, len(bad)) == wanted
        assert await opened(engine, subject, REF) == await opened(intake, subject, "intake/1/text") == {REF: "secret"}
        report = await verify(described(stack, "handling"), (await stack.database("handling")).app_dsn, stack.kafka, master=MASTER)
        assert report.equal, report
        # Sent by whoever holds it, the maker's proof counts: intake may have lost its database.
        await hand.write(by(MAC, "handling", Sent(key, None, [(PROOF, proof)]), topic), topic=KEYS)

        async def gone() -> bool:
            return await opened(engine, subject, REF) == {}

        await eventually(gone)


async def test_verify_tells_of_a_key_that_only_an_unsigned_record_has(stack: Stack) -> None:
    """On a compacted topic a forger's record takes the place of the true one, and who comes later never gets the key."""
    intake = await stack.engine("intake")
    subject = (await intake.create("complaint", lambda context: [registered("secret")], metadata("k")))[0].subject
    await idle(intake)
    (sent,) = await on_the_log(stack, KEYS, 1)
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE keys SET acknowledged = true")
    await owner.close()
    check = (await stack.database("intake")).app_dsn
    assert (await verify(described(stack, "intake"), check, stack.kafka, master=MASTER)).equal
    without = replace(described(stack, "intake"), mac=MacKeys({"handling.1": bytes(32)}))
    report = await verify(without, check, stack.kafka, master=MASTER)
    assert [each.what for each in report.differences if each.which == subject and each.where == "keys"] == [
        "has a key that is not on the topic of keys: services that do not have it yet never get it"
    ]
    assert sent.value is not None


async def test_keys_are_rotated_while_services_run(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "LOOK", 0.0)
    folder = tmp_path / "mac"
    make_keys(folder, ["intake", "handling"])
    intake = await stack.engine("intake", mac=MacKeys.read(folder))
    engine = await stack.engine("handling", mac=MacKeys.read(folder))

    async def registers(key: str) -> str:
        subject = (await intake.create("complaint", lambda context: [registered(key)], metadata(key)))[0].subject

        async def case() -> bool:
            return bool((await intake.read(subject)).state.observed.opened == 1)

        await eventually(case)
        return subject

    before = await registers("before")
    for source in ("intake", "handling"):
        (folder / f"{source}.2.key").write_bytes(os.urandom(32))
    under_way = await registers("under way")
    for source in ("intake", "handling"):
        os.utime(folder / f"{source}.2.key", (1, 1))  # by now everybody has it
    after = await registers("after")
    assert await signed_by(stack, before) == await signed_by(stack, under_way) == [b"intake.1", b"handling.1"]
    assert await signed_by(stack, after) == [b"intake.2", b"handling.2"]
    for each in (intake, engine):
        assert await each.parking.dead_letters() == [] and await each.parking.subjects() == []
    late = await stack.engine("triage", automations=[], mac=MacKeys.read(folder))  # who reads all of it only now
    for subject in (before, under_way, after):
        await eventually(partial(opened, late, subject, REF))
    for source in ("intake", "handling"):
        service = replace(described(stack, source), mac=MacKeys.read(folder))
        assert (await verify(service, (await stack.database(source)).app_dsn, stack.kafka, master=MASTER)).equal


async def test_a_folder_of_keys_that_went_bad_is_an_alarm_and_stops_nobody(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "mac"
    make_keys(folder, ["intake", "handling"])
    intake = await stack.engine("intake", automations=[], mac=MacKeys.read(folder))

    async def alarmed() -> bool:
        alarms = (await intake.health()).alarms
        return any("intake.2.key must hold 32 bytes" in each for each in alarms)

    assert not await alarmed() and (await intake.measures()).mac_keys_unusable == 0
    (folder / "intake.2.key").write_bytes(b"short")
    await eventually(alarmed)
    assert (await intake.measures()).mac_keys_unusable == 1
    subject = (await intake.create("complaint", lambda context: [registered("meanwhile")], metadata("k")))[0].subject
    await idle(intake)
    assert await signed_by(stack, subject) == [b"intake.1"]
    (folder / "intake.2.key").unlink()

    async def over() -> bool:
        return not await alarmed()

    await eventually(over)
    assert (await intake.measures()).mac_keys_unusable == 0


async def test_no_journal_takes_in_what_its_service_did_not_sign(stack: Stack) -> None:
    intake = await stack.engine("intake", automations=[])
    subject = (await intake.create("complaint", lambda context: [registered("secret")], metadata("k")))[0].subject
    await idle(intake)
    await stack.stop(intake)
    stranger = Author(subject_of(5))
    async with pen(stack) as hand:
        (forged,) = stranger.say(registered("forged"))
        await hand.write(unsigned(forged), by(MAC, "handling", forged, stack.prefix + LIFECYCLE))
        assert (await adopted(stack, "intake")).events.total() == 0
        await hand.write(by(MacKeys({"intake.9": bytes(32)}), "intake", forged, stack.prefix + LIFECYCLE))
    with pytest.raises(AdoptionRefused, match=r"nothing proves that. The key that it names is not in the folder of keys: intake\.9"):
        await adopted(stack, "intake")  # it may be ours, and the folder the wrong one: only people know
    assert subject != subject_of(5)


async def test_a_log_written_anew_is_signed_anew_and_nothing_is_written_by_the_wrong_keys(stack: Stack) -> None:
    intake = await stack.engine("intake", automations=[])
    subject = (await intake.create("complaint", lambda context: [registered("secret")], metadata("k")))[0].subject
    await idle(intake)
    await stack.stop(intake)
    made = await stack.database("intake")

    def restoring(keys: MacKeys, although_unproved: bool = False) -> RestoreLog:
        access = {"intake": Access(made.owner_dsn, made.app_dsn)}
        where: dict[str, Any] = {"kafka": stack.kafka, "partitions": stack.partitions, "prefix": stack.prefix}
        return RestoreLog(access, **where, mac=keys, recreate=[LIFECYCLE], although_unproved=although_unproved, in_flight=0.1)

    with pytest.raises(CannotRestore, match="no key of intake"):
        await restoring(MacKeys({})).run()
    with pytest.raises(CannotRestore, match="these are not the keys that it was written with"):
        await restoring(MacKeys({"intake.4": bytes(32)})).run()
    both = {"intake.1": next(key.secret for name, key in MAC._keys.items() if name == b"intake.1"), "intake.2": os.urandom(32)}
    await restoring(MacKeys(both)).run()
    assert await signed_by(stack, subject) == [b"intake.2"]
    await restoring(MacKeys({"intake.4": bytes(32)}), although_unproved=True).run()  # those keys are lost
    assert await signed_by(stack, subject) == [b"intake.4"]


async def signed_by(stack: Stack, subject: str) -> list[bytes]:
    """The names of the keys that signed what the log has of a subject."""
    records = await on_the_log(stack, LIFECYCLE, stack.partitions)
    return [dict(each.headers)["mac"].rpartition(b".")[0] for each in records if each.key == subject.encode()]
