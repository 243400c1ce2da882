"""Contexts: what `redress context` keeps and refuses, and which installation a command looks at.

Long, for a context, a container and a Job are told the same things in three ways.
"""

from __future__ import annotations

import http.server
import json
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from spine_certificates import Authority
from typer.testing import CliRunner, Result

from redress_cli.api import client
from redress_cli.context_file import place
from redress_cli.main import app
from redress_cli.target import installation, of_environment
from redress_local.places import SERVICES
from redress_spine.messaging.kafka_clients import KafkaClients

URL = "https://redress.example.com/{service}"
DATABASE = "postgresql://{database}_app@db.example.com/{database}?sslmode=verify-full&sslrootcert=/etc/ca.pem"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's contexts, and no environment of a service's."""
    for name in ("REDRESS_CONTEXT", "REDRESS_STACK", "SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def redress(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def said(result: Result) -> str:
    return " ".join(result.output.split())


def add(*words: str, name: str = "production") -> None:
    done = redress("context", "add", name, *words)
    assert done.exit_code == 0, done.output


def test_a_context_is_kept_for_its_owner_alone_and_said_in_parts(home: Path):
    add("--url", URL, "--kafka", "one:9093,two:9093", "--kafka-set", "security=SSL")
    add("--database", DATABASE, "--database", "intake=postgresql://other@10.0.0.7/intake", "--partitions", "24")
    add("--kafka-set", "REDRESS_KAFKA_SECURITY=ssl", "--url", "triage=http://10.0.0.8:8080/", "--url", "triage=http://10.0.0.9:8080")
    assert place() == home / "config/redress/contexts.yaml"
    assert stat.S_IMODE(place().stat().st_mode) == 0o600
    assert stat.S_IMODE(place().parent.stat().st_mode) == 0o700
    shown = json.loads(redress("context", "show", "--json").output)
    assert (shown["kafka"], shown["partitions"], shown["kafka_settings"]) == ("one:9093,two:9093", 24, {"kafka_security": "ssl"})
    assert list(shown["services"]) == list(SERVICES)
    assert shown["services"]["intake"] == {
        "urls": ["https://redress.example.com/intake"],
        "database": "postgresql://other@10.0.0.7/intake",
    }
    assert shown["services"]["triage"]["urls"] == ["http://10.0.0.8:8080", "http://10.0.0.9:8080"]
    assert shown["services"]["sla-monitor"]["database"] == DATABASE.replace("{database}", "redress_sla_monitor")


def test_the_first_one_is_in_use_and_another_is_chosen_or_none():
    add("--url", URL)
    add("--url", "http://10.0.0.1/{service}", name="test")
    assert installation(None, None).name == "the context production"
    assert installation(None, "test").replicas("intake") == ["http://10.0.0.1/intake"]
    assert redress("context", "use", "test").exit_code == 0
    assert json.loads(redress("context", "list", "--json").output) == {"current": "test", "contexts": ["production", "test"]}
    assert installation(None, None).name == "the context test"
    assert redress("context", "use", "stack").exit_code == 0
    assert "no stack runs in" in said(redress("pending")) or "the stack in" in said(redress("pending"))
    assert redress("context", "remove", "test").exit_code == 0
    assert "There is no context 'test'. There are: production." in said(redress("status", "--context", "test"))


def test_a_folder_that_is_named_comes_before_the_context_in_use(tmp_path: Path):
    add("--url", URL)
    assert "Start one with: redress up --folder" in said(redress("status", "--folder", str(tmp_path / "stack")))


def test_the_environment_names_a_context_too(monkeypatch: pytest.MonkeyPatch):
    add("--url", URL)
    monkeypatch.setenv("REDRESS_CONTEXT", "nowhere")
    assert "There is no context 'nowhere'" in said(redress("verify"))


def test_with_nothing_to_look_at_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("redress_cli.target.USUAL_FOLDER", tmp_path / "stack")
    for words in (["status"], ["pending"], ["parked"], ["verify"], ["tail"], ["timeline", "1"], ["relay"], ["rebuild", "intake"]):
        done = redress(*words)
        assert done.exit_code == 1
        assert "redress up" in said(done) and "redress context add NAME --help" in said(done), words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--database", "postgresql://app:hidden@db/x"], "services.intake.database: A context has no password"),
        (["--owner", "postgresql://app@db/x?password=hidden"], "A context has no password"),
        (["--url", "https://me:hidden@example.com"], "contains no user"),
        (["--owner", "postgresql://app@db/x?PassWord=hidden"], "A context has no password"),
        (["--owner", "postgresql://app@db/x?p%61ssword=hidden"], "A context has no password"),
        (["--owner", "postgresql://app@db/x?sslpassword=hidden"], "A context has no password"),
        (["--database", "postgresql://app%3Ahidden@db/x"], "A context has no password"),
        (["--url", "https://example.com/{service}?token=hidden"], "An address of a service ends with its path"),
        (["--url", "https://example.com/#hidden"], "An address of a service ends with its path"),
        (["--url", "https://me%3Ahidden%40example.com"], "contains no user"),
        (["--kafka", "me:hidden@one:9093"], "kafka: It is HOST:PORT, several with commas, without a user"),
        (["--kafka", "one:9093,SASL_SSL://me:hidden@two:9093"], "kafka: It is HOST:PORT"),
        (["--kafka-set", "token_url=https://me:hidden@example.com/token"], "kafka_token_url has a user or a query"),
        (["--token-file", f"eyJ{'hidden' * 20}.eyJ.x"], "token_file: It must name a file, and there is no such file"),
        (["--token-file", "hidden" * 8], "the value looks like the secret itself"),
        (["--database-password-file", "hidden" * 8], "the value looks like the secret itself"),
        (["--kafka-set", f"token_file={'hidden' * 8}"], "kafka_token_file must name a file, and there is no such file"),
        (["--url", "example.com"], "begins with https://"),
        (["--database", "mysql://db/x"], "begins with postgresql://"),
        (["--kafka-set", "password=hidden"], "kafka_password is a secret, and a context has none: set kafka_password_file."),
        (["--kafka-set", "secrecy=hidden"], "kafka_secrecy is not a setting of Kafka's. The settings are: kafka_security"),
        (["--kafka-set", "security=SASL_SSL"], "kafka_sasl_mechanism: It must be set"),
        (["--kafka-set", "hidden"], "--kafka-set takes NAME=VALUE"),
        (["--url", "nobody=https://example.com"], "There is no service 'nobody'"),
    ],
)
def test_what_is_wrong_or_secret_is_not_written(words: list[str], message: str):
    done = redress("context", "add", "production", *words)
    assert done.exit_code == 1
    assert message in said(done)
    assert "hidden" not in "".join(done.output.split())
    assert not place().exists()


def test_a_token_where_its_file_is_to_be_named_is_not_printed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SERVICE", "intake")
    monkeypatch.setenv("REDRESS_TOKEN_FILE", f"eyJ{'hidden' * 20}.eyJ.x")
    done = redress("parked")
    assert done.exit_code == 1 and "what looks like the secret itself" in said(done)
    assert "hidden" not in "".join(done.output.split())


def test_a_file_of_a_long_name_is_one_where_it_is_there_and_where_its_folder_is_named(home: Path):
    file = home / ("x" * 60)
    add("--token-file", str(file), "--database-password-file", f"intake=/run/secrets/{'y' * 60}")
    assert json.loads(redress("context", "show", "--json").output)["token_file"] == str(file)


@pytest.mark.parametrize("name", ["stack", "a b", "../x", "", "\x1b[2J"])
def test_a_name_is_a_name(name: str):
    done = redress("context", "add", name, "--url", URL)
    assert done.exit_code == 1 and "is not a name for a context" in said(done)


def test_what_the_environment_says_of_kafka_belongs_to_another_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    secret = tmp_path / "password"
    secret.write_text("pass word\n")
    user = ["--kafka-set", "sasl_mechanism=PLAIN", "--kafka-set", "username=ops", "--kafka-set", f"password_file={secret}"]
    monkeypatch.setenv("REDRESS_KAFKA_SECURITY", "SSL")
    monkeypatch.setenv("REDRESS_KAFKA_PASSWORD", "another")
    add("--url", URL, "--kafka", "one:9092")
    assert installation(None, None).kafka() == KafkaClients("one:9092")
    add("--kafka-set", "security=SASL_PLAINTEXT", *user)
    assert installation(None, None).kafka() == KafkaClients(
        "one:9092", security="SASL_PLAINTEXT", mechanism="PLAIN", username="ops", password_file=secret
    )
    assert "pass word" not in place().read_text()


def test_files_are_found_from_wherever_the_next_command_runs(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    (home / "ca.pem").touch()
    add("--url", URL, "--token-file", "token", "--kafka-set", "security=PLAINTEXT")
    shown = json.loads(redress("context", "show", "production", "--json").output)
    assert shown["token_file"] == str(home / "token")


def test_a_password_comes_from_its_file_when_it_is_needed(home: Path):
    secret = home / "secret"
    add("--database", "postgresql://{database}_app@db/{database}?sslmode=verify-full", "--database-password-file", str(secret))
    refused = redress("relay", "intake")
    assert refused.exit_code == 1 and f"{secret} cannot be read: No such file or directory" in said(refused)
    secret.write_text("p@ss/word:1\n")
    where = installation(None, None)
    assert where.app_dsn("intake") == "postgresql://redress_intake_app:p%40ss%2Fword%3A1@db/redress_intake?sslmode=verify-full"
    assert where.app_role("intake") == "redress_intake_app"
    assert "p@ss" not in repr(where) and "p%40ss" not in repr(where)


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        (
            ["verify", "intake"],
            "names no database of intake. Save it once: redress context add production --database intake=postgresql://…",
        ),
        (["rebuild", "intake"], "names no owner of the database of intake. Save it once: redress context add production --owner intake="),
        (["tail"], "ask for a bearer token of the role ops, and none is given: redress context add production --token-file FILE"),
        (["parked"], "ask for a bearer token of the role ops, and none is given: redress context add production --token-file FILE"),
        (["restore-log", "--yes"], "names no owner of the database of intake."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_a_context_lacks_is_said_with_the_command_that_adds_it(words: list[str], lacks: str):
    add("--url", URL)
    done = redress(*words)
    assert done.exit_code == 1
    assert f"{lacks}" in said(done)


@pytest.mark.parametrize("words", [["verify"], ["audit", "verify"], ["audit", "list"]], ids=" ".join)
def test_a_check_of_nothing_is_no_check_that_went_well(words: list[str]):
    add("--kafka", "127.0.0.1:9", "--mac-keys-dir", "/nowhere")
    done = redress(*words)
    assert done.exit_code == 1
    assert "The context production names no service" in said(done)


def test_a_service_that_the_context_does_not_tell_is_named():
    add("--url", "intake=https://example.com")
    assert "The context production does not name triage. It names: intake." in said(redress("verify", "triage"))
    assert "There is no service 'nobody'" in said(redress("verify", "nobody"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contexts: {a: {token: hidden}}", "contexts.a.token: Extra inputs are not permitted"),
        ("current: [", "line 1 is no YAML"),
        ("contexts: {'': {}}", "is not right"),
        ("- a", "is not right"),
    ],
)
def test_a_file_that_is_not_right_is_named_and_left_alone(text: str, message: str):
    place().parent.mkdir(parents=True)
    place().write_text(text)
    for words in (["status"], ["context", "list"], ["context", "add", "b", "--url", URL], ["context", "remove", "a"]):
        done = redress(*words)
        assert done.exit_code == 1
        assert message in said(done) and "contexts.yaml" in said(done) and "hidden" not in said(done)
    assert place().read_text() == text


def test_a_context_is_written_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch):
    add("--url", URL)
    before = place().read_text()

    def killed(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(yaml, "safe_dump", killed)
    done = redress("context", "add", "production", "--kafka", "one:9092")
    assert done.exit_code == 1 and "No space left on device" in said(done)
    assert place().read_text() == before


def test_a_services_own_environment_is_the_context_in_its_container(monkeypatch: pytest.MonkeyPatch, home: Path):
    add("--url", URL)
    (home / "master.key").write_bytes(bytes(32))
    told = {
        "SERVICE": "sla-monitor",
        "REDRESS_DATABASE_URL": "postgresql://redress_sla_monitor_app:secret@postgres:5432/redress_sla_monitor",
        "REDRESS_KAFKA": "kafka:9092",
        "REDRESS_PARTITIONS": "",
        "REDRESS_MASTER_KEY_FILE": str(home / "master.key"),
        "REDRESS_OPS_PORT": "9000",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    where = installation(None, None)
    assert where.services == ["sla-monitor"]
    assert (where.replicas("sla-monitor", "/clocks"), where.replicas("sla-monitor", "/ops/parked")) == (
        ["http://127.0.0.1:8080"],
        ["http://127.0.0.1:9000"],
    )
    assert where.app_dsn("sla-monitor") == told["REDRESS_DATABASE_URL"]
    assert (where.kafka(), where.partitions, where.master_key_file) == (KafkaClients("kafka:9092"), 12, home / "master.key")
    assert "The environment of sla-monitor does not name intake" in said(redress("verify", "intake"))
    assert "no owner of the database of sla-monitor. Set REDRESS_OWNER_URL" in said(redress("rebuild", "sla-monitor"))
    assert "none is given: set REDRESS_TOKEN_FILE" in said(redress("parked"))
    assert installation(None, "production").name == "the context production"
    monkeypatch.setenv("REDRESS_PARTITIONS", "many")
    monkeypatch.setenv("REDRESS_KAFKA_PASSWORD", "hidden")
    refused = said(redress("verify"))
    assert "The environment of sla-monitor is not right." in refused and "hidden" not in refused
    assert "REDRESS_PARTITIONS: " in refused and "REDRESS_KAFKA_PASSWORD: " in refused


def test_a_job_asks_a_service_that_runs_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDRESS_URL", "http://intake:8080")
    assert of_environment("intake").replicas("intake", "/ops/parked") == ["http://intake:8080"]
    monkeypatch.setenv("REDRESS_OPS_URL", "http://intake:9000")
    assert of_environment("intake").replicas("intake", "/ops/parked") == ["http://intake:9000"]


@contextmanager
def speaking_tls(certificate: Path) -> Iterator[str]:
    """The address of somebody on this machine who has this certificate, and answers everybody."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_service_that_speaks_tls_is_asked_by_tls_in_its_container(monkeypatch: pytest.MonkeyPatch, home: Path):
    """Its certificate names a host that others ask; here it is the certificate itself that counts."""
    authority = Authority(home)
    mine, others = authority.issue("mine", "192.0.2.7"), authority.issue("others", "127.0.0.1")
    monkeypatch.setenv("REDRESS_OPS_PORT", "9000")
    monkeypatch.setenv("REDRESS_TLS_CERT_FILE", str(mine))
    where = of_environment("intake")
    assert (where.replicas("intake", "/"), where.replicas("intake", "/ops/parked")) == (
        ["https://127.0.0.1:8080"],
        ["https://127.0.0.1:9000"],
    )
    with client(where) as http, speaking_tls(mine) as here, speaking_tls(others) as elsewhere:
        assert http.get(here).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            http.get(elsewhere)


def test_a_job_compares_the_name_of_a_service_that_runs_elsewhere(monkeypatch: pytest.MonkeyPatch, home: Path):
    authority = Authority(home)
    right, wrong = authority.issue("right", "127.0.0.1"), authority.issue("wrong", "192.0.2.7")
    monkeypatch.setenv("REDRESS_TLS_CERT_FILE", str(wrong))
    monkeypatch.setenv("REDRESS_CA_FILE", str(authority.file))
    with speaking_tls(right) as here, speaking_tls(wrong) as elsewhere:
        monkeypatch.setenv("REDRESS_URL", here)
        with client(of_environment("intake")) as http:
            assert http.get(here).status_code == 200
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                http.get(elsewhere)
