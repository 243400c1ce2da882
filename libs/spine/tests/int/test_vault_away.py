"""A service whose master key Vault sealed: it waits for Vault at its start, and for nothing after that. Vault is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_vault import FakeToken, FakeVault
from spine_stack import Stack, eventually, metadata, opened, registered

from redress_spine.store import master_keys, vault_transit
from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.master_keys import MasterKeys
from redress_spine.store.vault_transit import VaultTransit

TEXT = "intake/1/text"


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with FakeVault() as made:
        yield made


async def test_a_start_waits_for_vault_and_what_runs_does_not(
    stack: Stack, vault: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_keys, "LOOK", 0.05)
    monkeypatch.setattr(vault_transit, "AGAIN", 0.05)
    token = tmp_path / "token"
    token.write_text("s.first")
    transit = VaultTransit(vault.url, "redress", token)
    (tmp_path / "master.key").write_bytes(await transit.wrap(bytes(range(32))))
    keys = MasterKeys(tmp_path / "master.key", transit)
    intake = await stack.engine("intake", start=False, master=keys)
    vault.sealed = True
    with pytest.raises(MasterKeyAway, match="Vault is sealed"):
        await intake.start()
    await intake.stop()
    vault.sealed = False
    await intake.start()
    stack.engines.append(intake)
    vault.sealed = True
    subject = (await intake.create("complaint", lambda context: [registered("meanwhile")], metadata()))[0].subject
    assert await opened(intake, subject, TEXT) == {TEXT: "meanwhile"}, "the key is in memory"

    async def alarm() -> str:
        return next((each for each in (await intake.health()).alarms if "Vault" in each), "")

    token.write_text("s.second")
    assert "Vault is sealed" in await eventually(alarm), "its token could not be looked at"
    assert (await intake.measures()).master_keys_unusable == 1
    vault.tokens["s.second"] = FakeToken(ttl=30, renewable=False)
    vault.sealed = False

    async def ends() -> bool:
        return "ends within 60 s" in await alarm()

    await eventually(ends)
    vault.tokens["s.third"] = FakeToken()
    token.write_text("s.third")

    async def over() -> bool:
        return not await alarm()

    await eventually(over)
    assert (await intake.measures()).master_keys_unusable == 0
