"""`redress keys`: a new master key, Vault, and what is refused. The exchange itself: test_installation, and the spine's test_rewrap."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_vault import FakeVault
from typer import Exit
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_cli.target import installation
from redress_local.places import SERVICES

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A context with one master key, and no environment of a service's."""
    for name in ("REDRESS_CONTEXT", "REDRESS_STACK", "SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "master.key").write_bytes(KEY)
    assert redress("context", "add", "trial", "--master-key-file", str(tmp_path / "master.key")).exit_code == 0
    return tmp_path


@pytest.fixture
def vault(home: Path) -> Iterator[FakeVault]:
    (home / "token").write_text("s.first")
    with FakeVault() as made:
        words = "--vault-set", f"url={made.url}", "--vault-set", f"token_file={home / 'token'}"
        assert redress("context", "add", "trial", *words).exit_code == 0
        yield made


def redress(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_a_new_one_stands_beside_the_first_and_replaces_none(home: Path) -> None:
    assert redress("keys", "new").exit_code == redress("keys", "new").exit_code == 0
    made = [(home / f"master.{number}.key") for number in (2, 3)]
    assert len({each.read_bytes() for each in made} | {KEY}) == 3
    assert all(len(each.read_bytes()) == 32 and stat.S_IMODE(each.stat().st_mode) == 0o600 for each in made)
    assert "File exists" in said(redress("keys", "new", str(made[0])))
    ring = installation(None, "trial").master_keys()
    assert ring is not None and ring.numbers == [1, 2, 3]


def test_vault_seals_what_is_in_clear_and_what_is_new_and_seals_anew(home: Path, vault: FakeVault) -> None:
    assert redress("keys", "seal").exit_code == 1, "there is no terminal to ask at"
    done = redress("keys", "seal", "--yes")
    assert done.exit_code == 0 and "is sealed" in said(done) and '"command": "keys seal"' in done.stderr
    assert redress("keys", "new").exit_code == 0
    files = [home / "master.key", home / "master.2.key"]
    assert all(each.read_bytes().startswith(b"vault:v1:") for each in files)
    vault.rotate()
    assert redress("keys", "seal", "--yes").exit_code == 0
    assert all(each.read_bytes().startswith(b"vault:v2:") for each in files)
    ring = installation(None, "trial").master_keys()
    assert ring is not None and ring.secret(1) == KEY and ring.numbers == [1, 2]
    assert [each.name for each in home.glob("*.draft")] == []


def test_vault_away_is_a_message(home: Path, vault: FakeVault) -> None:
    assert redress("keys", "seal", "--yes").exit_code == 0
    vault.sealed = True
    for words in (("keys", "new"), ("keys", "seal", "--yes")):
        refused = redress(*words)
        assert refused.exit_code == 1 and "Vault is sealed, or under maintenance (503)" in said(refused), words
    with pytest.raises(Exit):
        installation(None, "trial").master_keys()


def test_what_is_not_right_is_refused(home: Path) -> None:
    assert "No Vault is configured" in said(redress("keys", "seal", "--yes"))
    assert "It is not the address of Vault" in said(redress("context", "add", "trial", "--vault-set", "url=vault"))
    assert "is not a setting of Vault's" in said(redress("context", "add", "trial", "--vault-set", "token=s.first"))
    (home / "master.2.key").write_bytes(b"short")
    assert redress("context", "add", "trial", "--database", "postgresql://u@127.0.0.1:1/{database}").exit_code == 0
    assert "must hold 32 bytes and nothing else, it has 5" in said(redress("keys", "rewrap", "--yes"))
    (home / "master.2.key").unlink()
    (home / "master.key").unlink()
    assert "The master keys cannot be read here" in said(redress("keys", "rewrap", "--yes"))


def test_a_copy_of_a_master_key_is_no_new_one(home: Path) -> None:
    assert redress("context", "add", "trial", "--database", "postgresql://u@127.0.0.1:1/{database}").exit_code == 0
    words = "--kafka", "127.0.0.1:1", "--mac-keys-dir", str(mac_keys(home))
    assert redress("context", "add", "trial", *words).exit_code == 0
    (home / "master.2.key").write_bytes(KEY)
    refused = redress("keys", "rewrap", "--yes", "--now")
    assert refused.exit_code == 1 and "Master key 2 is the same key as master key 1" in said(refused)


def mac_keys(home: Path) -> Path:
    folder = home / "mac"
    folder.mkdir()
    for service in SERVICES:
        (folder / f"{service}.1.key").write_bytes(service.encode().ljust(32, b"."))
    return folder


@pytest.mark.parametrize("name", ["master.02.key", "master-2.key", "other.bin"])
def test_a_name_that_no_service_reads_is_refused_beside_the_first(home: Path, name: str) -> None:
    refused = redress("keys", "new", str(home / name))
    assert refused.exit_code == 1 and f"No service reads {name} beside master.key. Name it master.2.key." in said(refused)
    assert not (home / name).exists()
    (home / "elsewhere").mkdir()
    assert redress("keys", "new", str(home / "elsewhere" / name)).exit_code == 0, "where it goes from there is not known here"
