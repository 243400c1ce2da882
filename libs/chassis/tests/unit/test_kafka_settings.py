"""How Kafka is reached, as the environment tells it: what is missing, wrong or contradictory is named before anything starts."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from spine_certificates import Authority

from redress_chassis.settings import BadSettings, KafkaSettings
from redress_spine.messaging.kafka_clients import KafkaClients

USER = {"SECURITY": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", "USERNAME": "redress"}
OAUTH = {"SECURITY": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}


def told(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str | Path]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"REDRESS_KAFKA_{name}", str(value))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    authority = Authority(tmp_path)
    own, other = authority.issue("own"), authority.issue("other")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    before, mark, after = own.read_text().partition("-----BEGIN CERTIFICATE-----")
    key.write_text(before)
    certificate.write_text(mark + after)
    locked = load_pem_private_key(before.encode(), None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "locked").write_bytes(locked)
    (tmp_path / "text").write_text("no certificate\n")
    (tmp_path / "password").write_text("hidden \n")
    (tmp_path / "bytes").write_bytes(b"\xffhidden")
    (tmp_path / "empty").write_text("\n")
    return {
        "ca": authority.file,
        "own": own,
        "other": other,
        "certificate": certificate,
        "key": key,
        "absent": tmp_path / "absent",
        **{name: tmp_path / name for name in ("locked", "text", "password", "bytes", "empty")},
    }


def test_without_any_variable_it_is_a_kafka_without_tls_and_without_users():
    assert KafkaSettings.read().clients("host:9092") == KafkaClients("host:9092") == KafkaClients.of("host:9092")


def test_tls_and_a_user(monkeypatch, files):
    told(monkeypatch, {**USER, "SECURITY": "sasl_ssl", "PASSWORD_FILE": files["password"], "CA_FILE": files["ca"]})
    told(monkeypatch, {"CERT_FILE": files["certificate"], "KEY_FILE": files["key"]})
    settings = KafkaSettings.read()
    assert settings.clients("host:9093") == KafkaClients(
        "host:9093",
        security="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username="redress",
        password_file=files["password"],
        ca_file=files["ca"],
        cert_file=files["certificate"],
        key_file=files["key"],
    )
    assert settings.clients("host:9093")._password() == "hidden "
    files["password"].write_text("renewed")
    assert settings.clients("host:9093")._password() == "renewed"
    told(monkeypatch, {"PASSWORD": "shown", "PASSWORD_FILE": ""})
    settings = KafkaSettings.read()
    assert settings.clients("host:9093").password == "shown"
    assert "shown" not in repr(settings) + repr(settings.clients("host:9093"))


def test_a_certificate_whose_file_has_its_key(monkeypatch, files):
    told(monkeypatch, {"SECURITY": "SSL", "CERT_FILE": files["own"]})
    assert KafkaSettings.read().clients("host:9093").cert_file == files["own"]


def test_a_client_whose_tokens_come_from_an_endpoint_or_from_a_file(monkeypatch, files):
    told(monkeypatch, {"SECURITY": "SASL_SSL", "SASL_MECHANISM": "oauthbearer", "TOKEN_FILE": files["password"]})
    clients = KafkaSettings.read().clients("host:9093")
    assert (clients.mechanism, clients.token_file, clients.username) == ("OAUTHBEARER", files["password"], None)
    told(monkeypatch, {"TOKEN_FILE": "", "TOKEN_URL": "https://issuer.example/token", "TOKEN_SCOPE": "kafka"})
    told(monkeypatch, {"USERNAME": "intake", "PASSWORD_FILE": files["password"]})
    clients = KafkaSettings.read().clients("host:9093")
    assert (clients.token_url, clients.token_scope, clients.username) == ("https://issuer.example/token", "kafka", "intake")


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ("SSL://host:9093", "SSL://host:9093: write host:9093, and say how it is reached by REDRESS_KAFKA_SECURITY=SSL."),
        ("one:9092,sasl_ssl://two:9093", "write two:9093, and say how it is reached by REDRESS_KAFKA_SECURITY=SASL_SSL."),
        ("kafka://host:9093", "REDRESS_KAFKA_SECURITY=SSL or SASL_SSL."),
        ("host", "host is not host:port."),
        ("one:9092,", "An empty address is not host:port."),
        ("one:9092;two:9092", "is not host:port."),
    ],
)
def test_what_is_no_address_is_refused(addresses, said):
    with pytest.raises(BadSettings) as caught:
        KafkaSettings().clients(addresses)
    assert str(caught.value).startswith("REDRESS_KAFKA: ") and said in str(caught.value)


@pytest.mark.parametrize("addresses", ["host:9092", "one.example.com:9092, two:9093", "127.0.0.1:9", "[::1]:9092"])
def test_addresses_are_taken(addresses):
    assert KafkaSettings().clients(addresses).bootstrap == addresses


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "No service reads it, so Kafka is reached without it. The setting is REDRESS_KAFKA_SECURITY."),
        ("KAFKA_SASL_JAAS_CONFIG", "The setting is REDRESS_KAFKA_USERNAME and REDRESS_KAFKA_PASSWORD_FILE."),
        ("KAFKA_SSL_TRUSTSTORE_LOCATION", "The setting is REDRESS_KAFKA_CA_FILE."),
        ("KAFKA_SASL_USERNAME", "The setting is REDRESS_KAFKA_USERNAME."),
        ("KAFKA_SSL_KEY_LOCATION", "The setting is REDRESS_KAFKA_KEY_FILE."),
        ("KAFKA_BOOTSTRAP_SERVERS", "The setting is REDRESS_KAFKA."),
        ("REDRESS_KAFKA_SECURITY_PROTOCOL", "There is no such setting. Did you mean REDRESS_KAFKA_SECURITY?"),
        ("REDRESS_KAFKA_CAFILE", "There is no such setting. Did you mean REDRESS_KAFKA_CA_FILE?"),
    ],
)
def test_a_variable_that_nobody_reads_is_refused_without_its_value(name, said):
    with pytest.raises(BadSettings) as caught:
        KafkaSettings.read({name: "hidden"})
    assert str(caught.value) == f"{name}: {said}" or str(caught.value).endswith(said)
    assert "hidden" not in str(caught.value)


def test_what_others_read_is_nobodys_mistake():
    theirs = ["KAFKA_HEAP_OPTS", "KAFKA_SERVICE_HOST", "KAFKA_BROKERS_PORT_9092_TCP_ADDR", "REDRESS_KAFKA_PORT", "REDRESS_KAFKA_ADDRESS"]
    KafkaSettings.read(dict.fromkeys([*theirs, "REDRESS_PARTITONS", "PATH"], "value"))  # of the others a service speaks


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        ({"SECURITY": "TLS"}, {"SECURITY": "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"}),
        ({"PASSWORD": "hidden"}, {"PASSWORD": "A user is for REDRESS_KAFKA_SECURITY=SASL_SSL or SASL_PLAINTEXT, and it is PLAINTEXT."}),
        ({"SECURITY": "SSL", "USERNAME": "redress"}, {"USERNAME": "and it is SSL."}),
        ({"SASL_MECHANISM": "PLAIN"}, {"SASL_MECHANISM": "and it is PLAINTEXT."}),
        ({"PASSWORD_FILE": "password"}, {"PASSWORD_FILE": "and it is PLAINTEXT."}),
        (
            {"SECURITY": "SASL_SSL"},
            {
                "SASL_MECHANISM": "It must be set where REDRESS_KAFKA_SECURITY is SASL_SSL.",
                "USERNAME": "It must be set where REDRESS_KAFKA_SECURITY is SASL_SSL.",
                "PASSWORD_FILE": "This or REDRESS_KAFKA_PASSWORD must be set where REDRESS_KAFKA_SECURITY is SASL_SSL.",
            },
        ),
        (
            {"SECURITY": "SASL_PLAINTEXT", "USERNAME": "redress", "PASSWORD": "hidden"},
            {"SASL_MECHANISM": "It must be set where REDRESS_KAFKA_SECURITY is SASL_PLAINTEXT."},
        ),
        (
            {**USER, "PASSWORD": "hidden", "SASL_MECHANISM": "GSSAPI"},
            {"SASL_MECHANISM": "Input should be 'PLAIN', 'SCRAM-SHA-256', "},
        ),
        ({**USER, "PASSWORD": "hidden", "PASSWORD_FILE": "password"}, {"PASSWORD_FILE": "Set this or REDRESS_KAFKA_PASSWORD, not both."}),
        ({**USER, "PASSWORD_FILE": "absent"}, {"PASSWORD_FILE": "The file cannot be read: No such file or directory."}),
        ({**USER, "PASSWORD_FILE": "empty"}, {"PASSWORD_FILE": "The file is empty."}),
        ({**USER, "PASSWORD_FILE": "bytes"}, {"PASSWORD_FILE": "The file is not text in UTF-8."}),
        (
            {**USER, "PASSWORD": "hidden", "TOKEN_FILE": "password"},
            {"TOKEN_FILE": "A token is for REDRESS_KAFKA_SASL_MECHANISM=OAUTHBEARER"},
        ),
        (OAUTH, {"TOKEN_FILE": "This or REDRESS_KAFKA_TOKEN_URL must be set where REDRESS_KAFKA_SASL_MECHANISM is OAUTHBEARER."}),
        ({**OAUTH, "TOKEN_URL": "https://i/t"}, {"TOKEN_FILE": "gives tokens to REDRESS_KAFKA_USERNAME with REDRESS_KAFKA_PASSWORD_FILE"}),
        ({**OAUTH, "TOKEN_URL": "issuer"}, {"TOKEN_URL": "It is not the address of a token endpoint: https://"}),
        ({**OAUTH, "TOKEN_FILE": "empty"}, {"TOKEN_FILE": "The file is empty."}),
        (
            {**OAUTH, "TOKEN_URL": "https://i/t", "TOKEN_FILE": "password", "USERNAME": "a", "PASSWORD": "hidden"},
            {"TOKEN_FILE": "Set this or REDRESS_KAFKA_TOKEN_URL, not both."},
        ),
        ({"CA_FILE": "ca"}, {"CA_FILE": "Certificates are for REDRESS_KAFKA_SECURITY=SSL or SASL_SSL, and it is PLAINTEXT."}),
        ({"SECURITY": "SSL", "CA_FILE": "absent"}, {"CA_FILE": "The file cannot be read: No such file or directory."}),
        ({"SECURITY": "SSL", "CA_FILE": "text"}, {"CA_FILE": "The file contains no certificate in PEM form."}),
        ({"SECURITY": "SSL", "KEY_FILE": "key"}, {"KEY_FILE": "It belongs to a certificate, and REDRESS_KAFKA_CERT_FILE is not set."}),
        ({"SECURITY": "SSL", "CERT_FILE": "certificate"}, {"KEY_FILE": "There is no private key in PEM form"}),
        ({"SECURITY": "SSL", "CERT_FILE": "certificate", "KEY_FILE": "locked"}, {"KEY_FILE": "without a passphrase"}),
        ({"SECURITY": "SSL", "CERT_FILE": "certificate", "KEY_FILE": "other"}, {"KEY_FILE": "that belongs to REDRESS_KAFKA_CERT_FILE"}),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(monkeypatch, files, variables, wrong):
    told(monkeypatch, {name: files.get(value, value) for name, value in variables.items()})
    with pytest.raises(BadSettings) as caught:
        KafkaSettings.read()
    lines = dict(line.split(": ", 1) for line in str(caught.value).splitlines())
    assert lines.keys() == {f"REDRESS_KAFKA_{name}" for name in wrong}
    for name, said in wrong.items():
        assert said in lines[f"REDRESS_KAFKA_{name}"]
    assert "hidden" not in str(caught.value)
