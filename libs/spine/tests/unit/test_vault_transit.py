"""Master keys that Vault seals, against a fake of it that speaks the documented calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_vault import FakeToken, FakeVault
from spine_certificates import Authority

from redress_spine.store import vault_transit
from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.master_keys import MasterKeys, MasterKeyUnusable
from redress_spine.store.vault_transit import VaultTransit

KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with FakeVault() as made:
        yield made


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("s.first\n")
    return file


async def sealed_by(transit: VaultTransit, folder: Path, **keys: bytes) -> Path:
    """Files of master keys as an operator makes them."""
    for name, key in keys.items():
        (folder / f"{name.replace('_', '.')}.key").write_bytes(await transit.wrap(key))
    return folder / "master.key"


async def test_files_hold_what_vault_sealed_and_it_is_asked_once_for_each(vault: FakeVault, token: Path, tmp_path: Path) -> None:
    transit = VaultTransit(vault.url, "redress", token)
    file = await sealed_by(transit, tmp_path, master=KEY)
    assert KEY not in file.read_bytes() and file.read_bytes().startswith(b"vault:v1:")
    keys = MasterKeys(file, transit)
    await keys.load()
    await keys.load()
    assert keys.ring.secret(1) == KEY
    assert vault.calls == ["POST transit/encrypt/redress", "POST transit/decrypt/redress"]
    await sealed_by(transit, tmp_path, master_2=OTHER)
    await keys.load()
    assert keys.ring.secret(2) == OTHER and vault.calls.count("POST transit/decrypt/redress") == 2


async def test_vault_away_is_a_message_and_what_is_in_memory_goes_on(vault: FakeVault, token: Path, tmp_path: Path) -> None:
    transit = VaultTransit(vault.url, "redress", token)
    file = await sealed_by(transit, tmp_path, master=KEY)
    keys = MasterKeys(file, transit)
    await keys.load()
    vault.sealed = True
    await keys.load()
    assert keys.ring.secret(1) == KEY
    with pytest.raises(MasterKeyAway, match=r"sealed, or under maintenance \(503\)"):
        await MasterKeys(file, transit).load()
    vault.sealed = False
    for status, said in ((500, "Vault answers 500"), (404, "See REDRESS_VAULT_MOUNT"), (403, "Write a new one")):
        vault.broken = status
        with pytest.raises(MasterKeyAway, match=said):
            await MasterKeys(file, transit).load()
    with pytest.raises(MasterKeyAway, match="does not answer"):
        await MasterKeys(file, VaultTransit("http://127.0.0.1:1", "redress", token)).load()


async def test_what_another_key_sealed_is_said_to_be(vault: FakeVault, token: Path, tmp_path: Path) -> None:
    file = await sealed_by(VaultTransit(vault.url, "redress", token), tmp_path, master=KEY)
    vault.versions = [bytes(32)]
    with pytest.raises(MasterKeyUnusable, match="another key sealed the file"):
        await MasterKeys(file, VaultTransit(vault.url, "redress", token)).load()


async def test_what_vault_opens_is_a_master_key_or_is_not_used(vault: FakeVault, token: Path, tmp_path: Path) -> None:
    file = await sealed_by(VaultTransit(vault.url, "redress", token), tmp_path, master=b"a password")
    with pytest.raises(MasterKeyUnusable, match="has 10 bytes, and a master key has 32"):
        await MasterKeys(file, VaultTransit(vault.url, "redress", token)).load()


async def test_a_newer_version_of_vaults_key_seals_the_same_master_key(vault: FakeVault, token: Path) -> None:
    transit = VaultTransit(vault.url, "redress", token)
    old = await transit.wrap(KEY)
    vault.rotate()
    new = await transit.renewed(old)
    assert new.startswith(b"vault:v2:") and await transit.unwrap(new) == await transit.unwrap(old) == KEY


async def test_a_token_is_renewed_when_half_of_its_life_is_over(vault: FakeVault, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(vault_transit, "monotonic", lambda: now[0])
    transit = VaultTransit(vault.url, "redress", token)
    await transit.keep()
    await transit.keep()
    assert vault.calls == ["GET auth/token/lookup-self"]
    now[0] += 1700
    await transit.keep()
    assert vault.tokens["s.first"].renewed == 0
    now[0] += 150
    await transit.keep()
    await transit.keep()
    assert vault.tokens["s.first"].renewed == 1
    now[0] += 1750
    await transit.keep()
    assert vault.tokens["s.first"].renewed == 1, "its life began anew"


async def test_a_token_that_ends_is_said_until_another_one_is_in_the_file(
    vault: FakeVault, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(vault_transit, "monotonic", lambda: now[0])
    vault.tokens["s.first"] = FakeToken(renewable=False)
    transit = VaultTransit(vault.url, "redress", token)
    await transit.keep()
    now[0] += 3600 - 59
    for _ in range(2):
        with pytest.raises(MasterKeyAway, match="ends within 60 s"):
            await transit.keep()
    vault.tokens = {"s.second": FakeToken(ttl=0, renewable=False)}
    now[0] += 100
    with pytest.raises(MasterKeyAway):
        await transit.keep()
    token.write_text("s.second")
    await transit.keep()
    now[0] += 1e9
    await transit.keep()
    assert vault.tokens["s.second"].renewed == 0, "it has no end"


async def test_a_token_that_may_not_be_renewed_for_longer_is_said_too(
    vault: FakeVault, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(vault_transit, "monotonic", lambda: now[0])
    vault.tokens["s.first"] = FakeToken(ttl=300, most=30)
    transit = VaultTransit(vault.url, "redress", token)
    await transit.keep()
    now[0] += 200
    with pytest.raises(MasterKeyAway, match="is not renewed for longer"):
        await transit.keep()
    assert vault.tokens["s.first"].renewed == 1


async def test_a_token_that_has_ended_is_refused_and_the_next_one_is_read(vault: FakeVault, token: Path) -> None:
    vault.tokens = {"s.second": FakeToken()}
    transit = VaultTransit(vault.url, "redress", token)
    with pytest.raises(MasterKeyAway, match="403"):
        await transit.wrap(KEY)
    token.write_text("")
    with pytest.raises(MasterKeyAway, match="is empty"):
        await transit.wrap(KEY)
    token.unlink()
    with pytest.raises(MasterKeyAway, match="cannot be read"):
        await transit.wrap(KEY)
    token.write_text("s.second")
    assert await transit.unwrap(await transit.wrap(KEY)) == KEY


async def test_namespace_mount_and_a_private_authority(token: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with FakeVault(authority.issue("vault"), namespace="care", mount="teams/transit", key="masters") as vault:
        how = {"mount": "/teams/transit/", "namespace": "care"}
        transit = VaultTransit(vault.url, "masters", token, ca_file=authority.file, **how)
        assert await transit.unwrap(await transit.wrap(KEY)) == KEY
        assert transit.key_id == "teams/transit/masters"
        with pytest.raises(MasterKeyAway, match="does not answer"):
            await VaultTransit(vault.url, "masters", token, mount="teams/transit", namespace="care").wrap(KEY)
        with pytest.raises(MasterKeyAway, match="403"):
            await VaultTransit(vault.url, "masters", token, mount="teams/transit", ca_file=authority.file).wrap(KEY)
