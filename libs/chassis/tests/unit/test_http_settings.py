"""How the service is reached, as the environment tells it: what is wrong is named before anything listens."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from pydantic import ValidationError
from spine_certificates import Authority

from redress_chassis.http_settings import HttpSettings
from redress_chassis.serving import NOT_STARTED, told
from redress_chassis.settings import BadSettings

EMPTY = dict.fromkeys(("ROOT_PATH", "TRUSTED_PROXIES", "CORS_ORIGINS", "TLS_CERT_FILE", "TLS_KEY_FILE", "OPS_PORT"), "")


def wrong(monkeypatch: pytest.MonkeyPatch, **variables: str | Path) -> str:
    """What is said of these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(f"REDRESS_{name}", str(value))
    with pytest.raises(ValidationError) as refused:
        HttpSettings()
    return "\n".join(f"{each['loc'][0]}: {each['msg']}" for each in refused.value.errors())


def test_without_any_variable_there_is_no_proxy_no_tls_and_no_other_origin(monkeypatch):
    bare = HttpSettings()
    assert (bare.root_path, bare.proxies, bare.origins, bare.tls_cert_file, bare.ops_port) == (None, [], [], None, None)
    for name, value in EMPTY.items():
        monkeypatch.setenv(f"REDRESS_{name}", value)
    assert HttpSettings() == bare, "and an empty one is none"


def test_lists_have_commas(monkeypatch):
    monkeypatch.setenv("REDRESS_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,192.0.2.1")
    monkeypatch.setenv("REDRESS_CORS_ORIGINS", "https://console.example, http://localhost:3000")
    settings = HttpSettings()
    assert settings.proxies == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
    assert settings.origins == ["https://console.example", "http://localhost:3000"]


@pytest.mark.parametrize("path", ["intake", "/", "/intake/", "/in take", "/a//b", "https://example.com/intake", "/a?b"])
def test_a_root_path_is_a_path(monkeypatch, path):
    assert "root_path: Value error, It must be a path like /intake" in wrong(monkeypatch, ROOT_PATH=path)


@pytest.mark.parametrize("entry", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8 172.16.0.0/12"])
def test_who_is_trusted_is_an_address_or_a_network(monkeypatch, entry):
    assert "trusted_proxies: Value error, Each entry must be an IP address" in wrong(monkeypatch, TRUSTED_PROXIES=f"127.0.0.1,{entry}")


@pytest.mark.parametrize("entry", ["0.0.0.0/0", "::/0"])
def test_not_everybody_is_trusted(monkeypatch, entry):
    assert "It includes every address" in wrong(monkeypatch, TRUSTED_PROXIES=entry)


@pytest.mark.parametrize("origin", ["*", "https://*.example", "console.example", "https://console.example/", "https://a.example/b", "null"])
def test_an_origin_is_one(monkeypatch, origin):
    assert "cors_origins: Value error, Each entry must be an origin" in wrong(monkeypatch, CORS_ORIGINS=origin)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("OPS_PORT", value) for value in ("0", "65536", "ops")),
        *(("MAX_CONNECTIONS", value) for value in ("0", "many")),
        ("MAX_HEADER_BYTES", "100"),
        ("MAX_HEADERS", "1"),
        ("CALLER_RATE", "-1"),
        ("CALLER_BURST", "0"),
        ("HEADER_SECONDS", "0"),
    ],
)
def test_a_limit_lets_something_through(monkeypatch, name, value):
    assert wrong(monkeypatch, **{name: value}).startswith(name.lower())


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    authority = Authority(tmp_path)
    own = authority.issue("own")
    authority.issue("other")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    before, mark, after = own.read_text().partition("-----BEGIN CERTIFICATE-----")
    key.write_text(before)
    certificate.write_text(mark + after)
    locked = load_pem_private_key(before.encode(), None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "locked.pem").write_bytes(locked)
    return {name: tmp_path / f"{name}.pem" for name in ("own", "other", "certificate", "key", "locked", "absent")}


def test_a_certificate_and_its_key_in_one_file_or_in_two(monkeypatch, files):
    monkeypatch.setenv("REDRESS_TLS_CERT_FILE", str(files["own"]))
    assert HttpSettings().tls_key_file is None
    monkeypatch.setenv("REDRESS_TLS_CERT_FILE", str(files["certificate"]))
    monkeypatch.setenv("REDRESS_TLS_KEY_FILE", str(files["key"]))
    assert HttpSettings().tls_key_file == files["key"]


@pytest.mark.parametrize(
    ("certificate", "key"), [("certificate", None), ("certificate", "other"), ("certificate", "locked"), ("key", "key")]
)
def test_a_key_belongs_to_its_certificate_and_needs_no_passphrase(monkeypatch, files, certificate, key):
    said = wrong(monkeypatch, TLS_CERT_FILE=files[certificate], TLS_KEY_FILE=files[key] if key else "")
    assert "tls_key_file: Value error, REDRESS_TLS_CERT_FILE contains no certificate in PEM form, or there is no private key" in said


def test_files_that_cannot_be_read_are_named(monkeypatch, files):
    said = wrong(monkeypatch, TLS_CERT_FILE=files["absent"], TLS_KEY_FILE=files["key"])
    assert said == "tls_cert_file: Value error, The file cannot be read: No such file or directory."


def test_a_key_alone_is_none(monkeypatch, files):
    assert "REDRESS_TLS_CERT_FILE is not set" in wrong(monkeypatch, TLS_KEY_FILE=files["key"])


def test_the_port_for_operations_is_another_one(monkeypatch):
    monkeypatch.setenv("REDRESS_OPS_PORT", "9000")
    assert told(8000).ops_port == 9000
    with pytest.raises(BadSettings, match=r"^REDRESS_OPS_PORT: .*9000"):
        told(9000)


def test_a_server_that_is_told_wrongly_says_all_that_is_wrong_and_does_not_listen(tmp_path):
    line = [sys.executable, "-m", "redress_chassis.serving", "redress_jar.main:app", "--port", "0"]
    environment = {"REDRESS_ROOT_PATH": "intake", "REDRESS_TLS_CERT_FILE": str(tmp_path / "absent"), "REDRESS_PARTITIONS": "0"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == NOT_STARTED, done.stderr
    said = [orjson.loads(each) for each in done.stdout.splitlines()]
    assert {each["service.name"] for each in said} == {"jar"} and {each["event"] for each in said} == {"bad-setting"}
    named = {each["reason"].partition(":")[0] for each in said}
    assert named >= {"REDRESS_ROOT_PATH", "REDRESS_TLS_CERT_FILE", "REDRESS_PARTITIONS", "REDRESS_DATABASE_URL"}
    assert "absent" not in done.stdout
