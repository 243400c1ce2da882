"""What the environment says of Vault, and of the files that it sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from redress_chassis.settings import BadSettings, Settings

VAULT = "https://vault.example.com:8200"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    (tmp_path / "master.key").write_bytes(bytes(32))
    (tmp_path / "mac").mkdir()
    (tmp_path / "token").write_text("s.first\n")
    told = {
        "DATABASE_URL": "postgresql://user@host/db",
        "KAFKA": "host:9092",
        "JWKS": "jwks.json",
        "ISSUER": "https://issuer.example",
        "PROFILE": "local",
        "MASTER_KEY_FILE": str(tmp_path / "master.key"),
        "MAC_KEYS_DIR": str(tmp_path / "mac"),
    }
    for name, value in told.items():
        monkeypatch.setenv(f"REDRESS_{name}", value)
    return monkeypatch


def refused() -> str:
    with pytest.raises(BadSettings) as caught:
        Settings.read()
    return str(caught.value)


async def test_later_master_keys_are_read_beside_the_first(environment, tmp_path):
    (tmp_path / "master.2.key").write_bytes(b"2" * 32)
    keys = Settings.read().master_keys
    await keys.load()
    assert keys.ring.numbers == [1, 2]
    (tmp_path / "master.key").unlink()
    keys = Settings.read().master_keys
    await keys.load()
    assert keys.ring.numbers == [2]
    (tmp_path / "master.2.key").write_bytes(b"2" * 31)
    assert "master.2.key must hold 32 bytes and nothing else, it has 31." in refused()


def test_vault_has_an_address_and_a_token(environment, tmp_path):
    assert Settings.read().transit() is None
    environment.setenv("REDRESS_VAULT_URL", "vault:8200")
    assert "REDRESS_VAULT_URL: It is not the address of Vault: https://…" in refused()
    environment.setenv("REDRESS_VAULT_URL", VAULT)
    assert "REDRESS_VAULT_TOKEN_FILE: It must be set where REDRESS_VAULT_URL is." in refused()
    environment.setenv("REDRESS_VAULT_TOKEN_FILE", str(tmp_path / "token"))
    assert "is in clear, and REDRESS_VAULT_URL is set. Seal it: redress keys seal" in refused()
    (tmp_path / "master.key").write_text("vault:v1:c2VhbGVk")
    transit = Settings.read().transit()
    assert transit is not None and transit.key_id == "transit/redress"
    environment.setenv("REDRESS_VAULT_CA_FILE", str(tmp_path / "token"))
    assert "The file contains no certificate in PEM form." in refused()
    environment.delenv("REDRESS_VAULT_CA_FILE")
    environment.setenv("REDRESS_VAULT_URL", "")
    assert "A token is for REDRESS_VAULT_URL, and that is not set." in refused()
    environment.delenv("REDRESS_VAULT_TOKEN_FILE")
    assert "is sealed by Vault, and nothing says which: set REDRESS_VAULT_URL." in refused()
