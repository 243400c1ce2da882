"""The master keys by number, and their files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.keyring import PLAIN, Keyring, number_of
from redress_spine.store.master_keys import MasterKeys, MasterKeyUnusable, checked, files_of

ONE, TWO, TEN = bytes(range(32)), bytes(32), b"x" * 32
KEY, SUBJECT = b"k" * 32, "complaint/1"


def test_what_the_first_one_wrapped_has_no_number_and_what_a_later_one_wrapped_has() -> None:
    first, later = Keyring({1: ONE}), Keyring({1: ONE, 2: TWO, 10: TEN}, current=10)
    old, new = first.wrap(SUBJECT, KEY), later.wrap(SUBJECT, KEY)
    assert (len(old), number_of(old), number_of(new)) == (PLAIN, 1, 10)
    assert later.unwrap(SUBJECT, old) == later.unwrap(SUBJECT, new) == KEY
    assert first.unwrap(SUBJECT, new) is None and (first.lacks(new), first.lacks(old)) == (10, None)
    assert later.unwrap("complaint/2", new) is None


def test_the_oldest_one_wraps_until_somebody_says_which() -> None:
    ring = Keyring({1: ONE, 2: TWO})
    assert (ring.current, ring.oldest, ring.newest) == (1, 1, 2)
    ring.current = 2
    assert number_of(ring.wrap(SUBJECT, KEY)) == 2
    ring.current = 3
    assert not ring.wraps
    with pytest.raises(MasterKeyAway, match="Master key 3 wraps what is new, and is not here"):
        ring.wrap(SUBJECT, KEY)


def test_what_a_key_wrapped_that_was_taken_away_is_told_from_what_is_not_known_yet() -> None:
    one, two, ten = (Keyring({number: secret}).wrap(SUBJECT, KEY) for number, secret in ((1, ONE), (2, TWO), (10, TEN)))
    ring = Keyring({2: TWO})
    assert [ring.retired(each) for each in (one, two, ten)] == [True, False, False]


@pytest.mark.parametrize("wrapped", [b"", b"short", bytes(PLAIN), bytes(PLAIN + 5), b"\2" + bytes(PLAIN + 4), b"\2\0\0\0\2" + bytes(PLAIN)])
def test_what_is_no_wrapped_key_does_not_open(wrapped: bytes) -> None:
    assert Keyring({1: ONE, 2: TWO}).unwrap(SUBJECT, wrapped) is None


def test_a_number_that_is_changed_opens_nothing() -> None:
    ring = Keyring({2: TWO, 3: TEN}, current=2)
    wrapped = ring.wrap(SUBJECT, KEY)
    assert Keyring({2: ONE}).unwrap(SUBJECT, wrapped) is None
    assert ring.unwrap(SUBJECT, wrapped[:4] + b"\4" + wrapped[5:]) is None


def test_it_can_be_pickled_for_another_process() -> None:
    ring = pickle.loads(pickle.dumps(Keyring({1: ONE, 2: TWO}, current=2)))
    assert ring.unwrap(SUBJECT, Keyring({1: ONE}).wrap(SUBJECT, KEY)) == KEY and ring.current == 2


def test_later_files_stand_beside_the_first_one(tmp_path: Path) -> None:
    for name in ("master.key", "master.2.key", "master.10.key", "master.1.key", "master.02.key", "other.3.key", "master.4.pem"):
        (tmp_path / name).write_bytes(ONE)
    assert sorted(files_of(tmp_path / "master.key")) == [1, 2, 10]
    (tmp_path / "master.key").unlink()
    assert sorted(files_of(tmp_path / "master.key")) == [2, 10], "the first one may go after its time"
    assert files_of(tmp_path / "nowhere" / "master.key") == {}


def test_a_file_that_is_wrong_is_said_to_be() -> None:
    path = Path("master.key")
    with pytest.raises(MasterKeyUnusable, match="32 bytes and nothing else, it has 33"):
        checked(path, ONE + b"\n", sealed=False)
    with pytest.raises(MasterKeyUnusable, match="set REDRESS_VAULT_URL"):
        checked(path, b"vault:v1:abc", sealed=False)
    with pytest.raises(MasterKeyUnusable, match="redress keys seal"):
        checked(path, ONE, sealed=True)


async def test_a_new_file_is_taken_in_and_one_that_changed_is_not(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(ONE)
    keys = MasterKeys(file)
    await keys.load()
    (tmp_path / "master.2.key").write_bytes(TWO)
    await keys.load()
    assert keys.ring.numbers == [1, 2]
    (tmp_path / "master.2.key").write_bytes(TEN)
    with pytest.raises(MasterKeyUnusable, match="is another key now"):
        await keys.load()
    assert keys.ring.secret(2) == TWO
    file.unlink()
    (tmp_path / "master.2.key").write_bytes(TWO)
    await keys.load()
    assert keys.ring.numbers == [1, 2], "who has a key goes on with it until the next start"
