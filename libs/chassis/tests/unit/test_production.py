"""What a service in production does not start with, unless somebody accepts it by name; and settings that it would not read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from redress_chassis.production import ACCEPTABLE, PASSWORDS
from redress_chassis.settings import BadSettings, Settings
from redress_spine.store.connections import wrong_database

GOOD = {
    "DATABASE_URL": "postgresql://user:hidden@db.example.com/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "KAFKA": "kafka.example.com:9093",
    "KAFKA_SECURITY": "SSL",
    "JWKS": "https://issuer.example/jwks",
    "ISSUER": "https://issuer.example",
}
# By the name that accepts it: a variable, what it says, and what is said of it.
REFUSED = {
    "plaintext-kafka": ("KAFKA_SECURITY", "PLAINTEXT", "It is PLAINTEXT: anybody on the network path can read"),
    "unverified-postgresql": ("DATABASE_URL", "postgresql://user:hidden@db/db?sslmode=require", "Its sslmode is require"),
    "jwks-over-http": ("JWKS", "http://issuer.example/jwks", "It is http: anybody on the network path can supply keys of their own"),
    "development-issuer": ("ISSUER", "https://issuer.redress.localhost", "It is the development issuer"),
    "default-passwords": (
        "DATABASE_URL",
        GOOD["DATABASE_URL"].replace("hidden", "local-app"),
        "Its password is one that everybody can read",
    ),
    "vault-over-http": ("VAULT_URL", "http://vault.example.com:8200", "It is http: anybody on the network path can read the token"),
    "few-replicas": ("MIN_INSYNC_REPLICAS", "1", "It is 1: what was acknowledged is lost with one broker."),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    (tmp_path / "key").write_bytes(bytes(32))
    for name, value in {**GOOD, "MASTER_KEY_FILE": str(tmp_path / "key"), "MAC_KEYS_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"REDRESS_{name}", value)
    return monkeypatch


def test_what_is_secured_starts(environment):
    assert Settings.read().profile == "production"


@pytest.mark.parametrize("name", ACCEPTABLE)
def test_what_is_for_ones_own_machine_is_refused_in_production_and_accepted_by_its_name(environment, name, tmp_path):
    variable, value, said = REFUSED[name]
    if variable == "VAULT_URL":
        (tmp_path / "key").write_text("vault:v1:c2VhbGVk")
        environment.setenv("REDRESS_VAULT_TOKEN_FILE", str(tmp_path / "key"))
    environment.setenv(f"REDRESS_{variable}", value)
    for others in ("", ",".join({*ACCEPTABLE} - {name})):
        environment.setenv("REDRESS_ACCEPT", others)
        with pytest.raises(BadSettings) as caught:
            Settings.read()
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"REDRESS_{variable}: {said}") and line.endswith(f"REDRESS_ACCEPT={name} accepts it.")
        assert "hidden" not in line and "local-app" not in line
    environment.setenv("REDRESS_ACCEPT", f"{name.upper()}, jwks-over-http")
    Settings.read()
    environment.delenv("REDRESS_ACCEPT")
    environment.setenv("REDRESS_PROFILE", "local")
    Settings.read()


def test_everything_that_is_refused_is_said_at_once(environment):
    for name in ("plaintext-kafka", "jwks-over-http", "development-issuer", "unverified-postgresql"):
        variable, value, _ = REFUSED[name]
        environment.setenv(f"REDRESS_{variable}", value)
    with pytest.raises(BadSettings) as caught:
        Settings.read({"REDRESS_ISSUR": "hidden"})
    assert len(str(caught.value).splitlines()) == 5


@pytest.mark.parametrize(
    ("address", "well"),
    [
        ("postgresql://u@db/d", False),
        ("postgresql://u@db/d?sslmode=verify-ca&sslrootcert=/ca.pem", False),
        ("postgresql://u@db/d?sslmode=verify-full&sslrootcert=/ca.pem", True),
        ("postgresql://u@db/d?sslrootcert=system", True),
        ("postgresql://u@/d?host=/run/postgresql", True),
        ("postgresql://u@%2Frun%2Fpostgresql/d", True),
        ("postgresql://u@/d?host=/run/postgresql,db", False),
    ],
)
def test_what_is_asked_of_an_address_of_postgresql(environment, address, well):
    environment.setenv("REDRESS_DATABASE_URL", address)
    if well:
        Settings.read()
    else:
        with pytest.raises(BadSettings, match=r"^REDRESS_DATABASE_URL: Its sslmode is .*=unverified-postgresql accepts it\.$"):
            Settings.read()


@pytest.mark.parametrize("variable", ["DATABASE_PASSWORD_FILE", "KAFKA_PASSWORD_FILE"])
def test_a_default_password_is_known_in_a_file_too(environment, tmp_path, variable):
    file = tmp_path / "password"
    file.write_text(f"{min(PASSWORDS)}\n")
    environment.setenv("REDRESS_DATABASE_URL", GOOD["DATABASE_URL"].replace(":hidden", ""))
    user = {"KAFKA_SECURITY": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_USERNAME": "intake", "KAFKA_PASSWORD": "hidden"}
    for name, value in user.items() if variable.startswith("KAFKA") else ():
        environment.setenv(f"REDRESS_{name}", value if name != "KAFKA_PASSWORD" else "")
    environment.setenv(f"REDRESS_{variable}", str(file))
    with pytest.raises(BadSettings, match="default-passwords accepts it"):
        Settings.read()
    file.write_text("hidden")
    assert "hidden" not in repr(Settings.read())


def test_what_cannot_be_accepted_is_named(environment):
    environment.setenv("REDRESS_ACCEPT", "everything,plaintext-kafka")
    with pytest.raises(BadSettings, match=r"^REDRESS_ACCEPT: .*everything is nothing that can be accepted; that is plaintext-kafka, "):
        Settings.read()


def test_a_password_of_the_database_stands_in_one_place(environment, tmp_path):
    environment.setenv("REDRESS_DATABASE_PASSWORD_FILE", str(tmp_path / "key"))
    with pytest.raises(BadSettings, match=r"^REDRESS_DATABASE_PASSWORD_FILE: .*Set this or the password in REDRESS_DATABASE_URL, not both"):
        Settings.read()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("REDRESS_PARTITONS", "There is no such setting. Did you mean REDRESS_PARTITIONS?"),
        ("redress_databse_url", "There is no such setting. Did you mean REDRESS_DATABASE_URL?"),
        ("REDRESS_OP_PORT", "There is no such setting. Did you mean REDRESS_OPS_PORT?"),
        ("REDRESS_COLOUR_OF_THE_WALL", "There is no such setting. See docs/configuration.md."),
        ("KAFKA_SECURITY_PROTOCOL", "No service reads it, so Kafka is reached without it. The setting is REDRESS_KAFKA_SECURITY."),
    ],
)
def test_a_setting_that_is_not_understood_ends_the_start(environment, name, said):
    with pytest.raises(BadSettings) as caught:
        Settings.read({name: "hidden"})
    assert str(caught.value) == f"{name}: {said}"


def test_what_others_are_told_is_passed_over(environment):
    others = [
        "REDRESS_STACK",
        "REDRESS_INTAKE_SERVICE_HOST",
        "REDRESS_INTAKE_SERVICE_PORT",
        "REDRESS_SLA_MONITOR_PORT",
        "REDRESS_POSTGRES_PORT",
        "REDRESS_INTAKE_PORT_8080_TCP_ADDR",
        "REDRESS_TEST_FAULT",
        "HOME",
        "redress_issuer",
    ]
    Settings.read(dict.fromkeys(others, "x") | {"REDRESS_POLICY": ""})  # what is empty is not set
    Settings.read({"REDRESS_OTHER_RELEASE_PORT": "tcp://10.0.0.7:8080"})  # as Kubernetes tells of a service
    Settings.read({"REDRESS_POLICY": "x"}, ["REDRESS_POLICY"])
    with pytest.raises(BadSettings, match="REDRESS_POLICY: There is no such setting"):
        Settings.read({"REDRESS_POLICY": "x"})


def test_each_check_of_a_setting_has_a_name_of_its_own():
    """pydantic knows checks by their names: of two that have the same, in two classes of settings, only one is made."""
    groups = [base for base in Settings.__mro__ if issubclass(base, BaseSettings)]
    names = [name for base in groups for name in base.__pydantic_decorators__.field_validators if name in vars(base)]
    assert len(names) > 10 and sorted(names) == sorted(set(names))


def test_an_empty_build_is_an_unknown_one(environment):
    environment.setenv("REDRESS_BUILD", "")
    assert Settings.read().build == "unknown"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("[::1", "must be a whole IPv6 address"),
        ("db..example", "The host in the address is invalid"),
        (f"{'x' * 64}.example", "The host in the address is invalid"),
        ("my db", "The host in the address is invalid"),
        ("db.example:tcp", "The port in the address is not a number"),
        ("db.example:65536", "The port in the address is not a number"),
        ("a.example,b..example:1", "The host in the address is invalid"),
        ("db.example/jar?sslmode=full", "sslmode in the address is one of disable"),
    ],
)
def test_a_database_whose_address_leads_nowhere_is_named(environment, place, said):
    environment.setenv("REDRESS_DATABASE_URL", f"postgresql://jar:hidden@{place}{'' if '/' in place else '/jar'}")
    with pytest.raises(BadSettings, match=f"REDRESS_DATABASE_URL: .*{said}") as caught:
        Settings.read()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("place", ["db.example:5432", "[::1]:5432", "a,b:1", "%2Frun%2Fpostgresql", "", "数据.example", "10.0.0.1"])
def test_an_address_of_whatever_form_is_taken(place):
    assert wrong_database(f"postgresql://jar:p@{place}/jar?sslmode=verify-full") is None
