"""What a MAC proves, and of what; and keys that come, rotate and go while their files are read."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from spine_log import Author, Sent, subject_of
from spine_stack import HANDLING_AGGREGATE, MAC, registered
from structlog.testing import capture_logs

from redress_events.contracts import CONTRACTS, HANDLING
from redress_events.contracts.handling import CaseOpened
from redress_events.vocabulary import LIFECYCLE
from redress_spine.messaging import mac
from redress_spine.messaging.mac import NO_KEYS, UNKNOWN_KEY, UNSIGNED, WRONG_MAC, MacKeys, MacKeysUnusable, NotProved, make_keys
from redress_spine.messaging.records import DeadLetter, DecodedRecord, Reader, Record

READER = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4, MAC)
OPENED = CaseOpened(cycle=1, routing=1, department="d")
DIGEST = bytes(32)


def genuine() -> Record:
    return Author(subject_of(1)).say(registered())[0].record()


def changed(name: str, value: bytes | None) -> Record:
    """The genuine record with another header, or without it."""
    record = genuine()
    others = {key: each for key, each in record.headers.items() if key != name}
    return replace(record, headers=others if value is None else others | {name: value})


def reason(record: Record, reader: Reader = READER) -> str | None:
    judged = reader.judge(record)
    assert isinstance(judged, DeadLetter | DecodedRecord), judged
    assert record.unproved == isinstance(judged, DeadLetter)
    return judged.reason if isinstance(judged, DeadLetter) else None


def test_what_its_source_signed_is_read() -> None:
    assert reason(genuine()) is None


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (lambda r: changed("mac", None), UNSIGNED),
        (lambda r: changed("mac", b""), UNKNOWN_KEY),
        (lambda r: changed("mac", b"\xff.\xff"), UNKNOWN_KEY),
        (lambda r: changed("mac", r.headers["mac"].replace(b".1.", b".2.")), UNKNOWN_KEY),
        (lambda r: changed("mac", r.headers["mac"].replace(b"intake", b"triage")), WRONG_MAC),
        (lambda r: changed("mac", r.headers["mac"][:-1]), WRONG_MAC),
        (lambda r: replace(r, value=r.value.replace(b"app", b"web")), WRONG_MAC),
        (lambda r: replace(r, value=None), WRONG_MAC),
        (lambda r: replace(r, topic="complaints.closed.v1"), WRONG_MAC),
        (lambda r: changed("prevhash", None), WRONG_MAC),
        (lambda r: changed("prevhash", bytes(31)), WRONG_MAC),
        (lambda r: replace(changed("prevhash", bytes(32) + r.value[:9]), value=r.value[9:]), WRONG_MAC),
    ],
)
def test_nothing_of_it_can_be_exchanged(forged: Callable[[Record], Record], why: str) -> None:
    assert reason(forged(genuine())) == why


def test_it_cannot_stand_under_another_key_of_the_same_partition() -> None:
    record = genuine()
    others = (subject_of(n) for n in range(2, 100))
    elsewhere = next(key for key in others if Sent(key.encode(), None).place() == record.partition)
    assert reason(replace(record, key=elsewhere.encode())) == WRONG_MAC


def test_a_source_that_signs_anothers_event_wrote_nothing() -> None:
    (said,) = Author(subject_of(1), HANDLING).say(OPENED)
    headers = dict(said.headers)
    sign = ("intake", LIFECYCLE, subject_of(1).encode(), said.value, headers["prevhash"], headers["hash"])
    record = said.record()
    assert reason(replace(record, headers=headers | dict([MAC.sign(*sign)]))) == WRONG_MAC
    assert READER.claims_to_be_ours(record) == (subject_of(1), 1)
    assert READER.claims_to_be_ours(replace(record, headers=headers)) is None


def test_one_that_nobody_signed_is_no_copy_of_the_same_bytes_signed() -> None:
    signed = genuine()
    unsigned = replace(signed, headers={name: value for name, value in signed.headers.items() if name != "mac"})
    READER.judge(unsigned)
    READER.judge(signed)
    assert unsigned.content != signed.content


def test_without_keys_nothing_is_signed_and_nothing_is_proved() -> None:
    with pytest.raises(MacKeysUnusable, match="no key of intake"):
        NO_KEYS.check("intake")
    assert reason(genuine(), Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4, NO_KEYS)) == UNKNOWN_KEY


# --- keys in files


def aged(file: Path, seconds: float) -> None:
    """Written so long ago."""
    at = time.time() - seconds
    os.utime(file, (at, at))


def signed(keys: MacKeys) -> bytes:
    return keys.sign("intake", "t", b"k", b"v", None, DIGEST)[1]


def proved(keys: MacKeys, header: bytes) -> str:
    return keys.source_of(header, "t", b"k", b"v", None, DIGEST)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a key of each source, looked at each time."""
    monkeypatch.setattr(mac, "LOOK", 0.0)
    monkeypatch.setattr(mac, "LOOK_AGAIN", 0.0)
    make_keys(tmp_path, CONTRACTS)
    return tmp_path


def test_a_key_is_made_once_and_for_its_owner_alone(folder: Path) -> None:
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    make_keys(folder, [*CONTRACTS, "shop"])
    assert {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "shop.1.key"} == before
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    assert len(set(before.values())) == len(CONTRACTS)


def test_a_rotation_under_way_loses_nothing(folder: Path) -> None:
    writer, reader = MacKeys.read(folder), MacKeys.read(folder)
    old = signed(writer)
    (folder / "intake.2.key").write_bytes(os.urandom(32))
    assert signed(writer) == old, "signed with a key that a reader may not have yet"
    aged(folder / "intake.2.key", mac.SETTLE + 1)
    new = signed(writer)
    assert new.startswith(b"intake.2.")
    assert proved(reader, new) == proved(reader, old) == "intake", "each reader takes both"
    assert signed(pickle.loads(pickle.dumps(writer))) == new


def test_in_a_folder_mounted_just_now_the_oldest_key_signs(folder: Path) -> None:
    (folder / "intake.10.key").write_bytes(os.urandom(32))
    assert signed(MacKeys.read(folder)).startswith(b"intake.1.")
    assert signed(MacKeys.read(folder, settle=-1.0)).startswith(b"intake.10."), "numbers are compared as such"


def test_a_key_that_was_taken_away_proves_nothing_more(folder: Path) -> None:
    keys = MacKeys.read(folder)
    old = signed(keys)
    (folder / "intake.1.key").unlink()
    with pytest.raises(NotProved, match=r"is not in the folder of keys: intake\.1") as caught:
        proved(keys, old)
    assert caught.value.reason == UNKNOWN_KEY
    with pytest.raises(MacKeysUnusable, match=r"Write 32 random bytes to intake\.1\.key there"):
        signed(keys)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "intake.2.key").write_bytes(b"short"), "must hold 32 bytes and nothing else, it has 5"),
        (lambda folder: (folder / "intake.key").write_bytes(bytes(32)), "is no <source>.<number>.key"),
        (lambda folder: folder.rename(folder.with_name("away")), "cannot be read: No such file or directory"),
    ],
)
def test_a_folder_that_is_wrong_is_refused_and_later_on_told_once(folder: Path, harm: Callable[[Path], object], said: str) -> None:
    keys = MacKeys.read(folder)
    old = signed(keys)
    harm(folder)
    with pytest.raises(MacKeysUnusable, match=said):
        MacKeys.read(folder)
    with capture_logs() as logs:
        assert [signed(keys) for _ in range(3)] == [old] * 3, "the keys that were read stay"
    assert [said in each["detail"] for each in logs if each["event"] == "mac-keys-unusable"] == [True]


def test_no_key_is_shown(folder: Path) -> None:
    keys = MacKeys.read(folder)
    shown = repr(keys) + repr(vars(keys))
    assert repr((folder / "intake.1.key").read_bytes())[2:-1] not in shown


def test_what_is_wrong_with_the_folder_is_told_for_as_long_as_it_is(folder: Path) -> None:
    keys = MacKeys.read(folder)
    assert keys.look() == ""
    (folder / "intake.2.key").write_bytes(b"short")
    assert "must hold 32 bytes" in keys.look() and "must hold 32 bytes" in keys.look()
    (folder / "intake.2.key").unlink()
    assert keys.look() == ""


def test_a_key_whose_file_is_written_anew_does_not_wait_again(folder: Path) -> None:
    """As Kubernetes does with all files of a secret, where one is added."""
    (folder / "intake.2.key").write_bytes(os.urandom(32))
    aged(folder / "intake.2.key", mac.SETTLE + 1)
    keys = MacKeys.read(folder)
    assert signed(keys).startswith(b"intake.2.")
    (folder / "intake.3.key").write_bytes(os.urandom(32))
    for each in folder.iterdir():
        os.utime(each)
    assert signed(keys).startswith(b"intake.2."), "3 waits, and 2 has waited"
    assert signed(MacKeys.read(folder)).startswith(b"intake.1."), "who starts knows of none since when it is there"
    (folder / "intake.2.key").write_bytes(os.urandom(32))
    assert signed(keys).startswith(b"intake.1."), "another key under the same name waits"
