"""docker-compose.yml, Dockerfile and .dockerignore say what the rest of the repository says, and give nothing away.

Long, for the three files are compared with each other.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from redress_chassis import Settings
from redress_chassis.identity_settings import IdentitySettings
from redress_chassis.production import PASSWORDS
from redress_chassis.settings import PREFIX, KafkaSettings
from redress_chassis.variables import PORTS
from redress_chassis.vault_settings import VaultSettings
from redress_intake.policies import SETTING as CATALOGUE
from redress_local import setup_job
from redress_local.compose import NoCompose, read_compose
from redress_local.containers import KAFKA_IMAGE, POSTGRES_IMAGE, kafka_environment
from redress_local.issuer import ISSUER, Issuer
from redress_local.kafka import Kafka
from redress_local.places import ROOT, SERVICES
from redress_local.postgres import SETTINGS
from redress_local.provision import addresses, drop, provision
from redress_local.setup_job import STEPS, Missing, take
from redress_sla_monitor import policies
from redress_spine.messaging import topics
from redress_spine.messaging.topics import REPLICAS
from redress_spine.processing import reality
from redress_spine.store import connections
from redress_spine.store.errors import TopicsNotMade

FILE = ROOT / "docker-compose.yml"
BASE = "python:3.13.14-slim-trixie"
LISTENERS = {"KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"}  # one more, for this machine
# Of the settings, what a compose stack has one value of: it has the development issuer and no other, time is not stepped there, and its
# Kafka has neither TLS nor users. A service has one port, which is open to this machine alone, without TLS.
BY_CHANNEL_OR_AREA = {"channels_claim", "client_channels", "agents_reach", "areas_claim", "area_groups"}
DUTIES = {"front_ends_reach", "four_eyes", "closed_readable_days", *BY_CHANNEL_OR_AREA}
OF_ISSUERS = IdentitySettings.model_fields.keys() - DUTIES - {"jwks", "issuer"}
FIXED = {
    *(
        "REDRESS_BUILD",
        "REDRESS_CLOCK_FILE",
        "REDRESS_OPS_PORT",
        "REDRESS_TLS_CERT_FILE",
        "REDRESS_TLS_KEY_FILE",
        "REDRESS_DATABASE_PASSWORD_FILE",
    ),
    *(PREFIX + name.upper() for name in (*KafkaSettings.model_fields, *VaultSettings.model_fields, *OF_ISSUERS)),
}
ENVIRONMENT = re.compile(r"os\.environ|getenv")
SHORT_SESSION = {"KAFKA_BROKER_SESSION_TIMEOUT_MS", "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS"}  # for tests that kill the broker


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


@pytest.fixture(scope="module")
def stages() -> dict[str, str]:
    """The Dockerfile's text by stage."""
    parts = re.split(r"^FROM (\S+) AS (\w+)\n", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    bases, names, bodies = parts[0::3], parts[1::3], parts[2::3]
    assert all(base == BASE or base in names for base in bases)
    return dict(zip(names, bodies, strict=True))


FILES = {"sla-monitor": {policies.SETTING}, "intake": {CATALOGUE}}


def test_every_service_is_there_and_is_told_all_that_it_needs(services):
    assert set(services) == {*SERVICES, "gateway", "setup", "kafka", "postgres"}
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    for service in SERVICES:
        environment = services[service]["environment"]
        assert set(environment) == settings - FIXED | FILES.get(service, set())
        name = "redress_" + service.replace("-", "_")
        assert environment["REDRESS_DATABASE_URL"].startswith(f"postgresql://{name}_app:")
        assert environment["REDRESS_DATABASE_URL"].endswith(f"/{name}")
        assert (environment["REDRESS_PROFILE"], environment["REDRESS_ISSUER"]) == ("local", ISSUER)
        assert services[service]["build"]["args"] == {"SERVICE": service, "BUILD": "${REDRESS_BUILD:-unknown}"}


def test_the_setup_job_is_told_all_that_it_reads(services):
    read = set(re.findall(r"REDRESS_[A-Z_]+\b(?!=)", Path(setup_job.__file__).read_text()))
    assert set(services["setup"]["environment"]) == read - {"REDRESS_OWNER_URL"}  # of databases that others make


def test_no_service_reads_what_its_settings_do_not_name():
    """Else the test of what services are told compares with too little."""
    files = [path for folder in ("libs", "services") for path in (ROOT / folder).glob("**/redress_*/**/*.py")]
    assert [path.name for path in files if ENVIRONMENT.search(path.read_text())] == ["running.py"]


def test_what_the_environment_says_is_passed_on(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.touch()
    said = {"REDRESS_POLICY": str(policy), "REDRESS_MAX_WORDS": "7", "REDRESS_PARTITIONS": "3", "REDRESS_SETTLE_SECONDS": "9"}
    environment = composed(said)
    assert (
        environment["intake"]["environment"].items()
        >= {"REDRESS_MAX_WORDS": "7", "REDRESS_PARTITIONS": "3", "REDRESS_SETTLE_SECONDS": "9"}.items()
    )
    assert environment["setup"]["environment"]["REDRESS_PARTITIONS"] == "3"
    assert environment["sla-monitor"]["environment"]["REDRESS_POLICY"] == "/policy.yaml"
    assert composed({"REDRESS_CATALOGUE": str(policy)})["intake"]["environment"]["REDRESS_CATALOGUE"] == "/catalogue.yaml"
    assert {each["target"]: each["source"] for each in environment["sla-monitor"]["volumes"]}["/policy.yaml"] == str(policy)


def test_without_an_environment_the_defaults_hold(monkeypatch):
    """A variable that is passed on and is not set is not there at all, and an empty policy is none."""
    environment = composed({})["sla-monitor"]["environment"]
    elsewhere = ("REDRESS_MASTER_KEY_FILE", "REDRESS_MAC_KEYS_DIR")
    monkeypatch.setattr(os, "environ", {name: value for name, value in environment.items() if value is not None and name not in elsewhere})
    with tempfile.TemporaryDirectory() as folder:
        keys = Issuer(Path(folder))
        settings = Settings(master_key_file=keys.master_key, mac_keys_dir=keys.mac_keys)
    assert (settings.partitions, settings.max_words, settings.log_level, settings.settle_seconds) == (12, 1000, "info", 2.0)
    assert policies.in_force(os.environ).policy.id == "telecom-handbook"


def composed(environment: dict[str, str]) -> Any:
    """What Docker Compose reads in the file, by service. No engine is asked."""
    line = [
        str(Path(sys.executable).with_name("docker-compose")),
        "--project-directory",
        str(ROOT),
        "--env-file",
        "/dev/null",
        "config",
        "--format",
        "json",
    ]
    return json.loads(subprocess.run(line, env=environment, capture_output=True, check=True).stdout)["services"]


def test_ports_are_open_to_this_machine_alone(services):
    published = [port for each in services.values() for port in each.get("ports", [])]
    assert len(published) == len(SERVICES) + 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_port_that_a_stack_is_told_is_taken_for_a_setting():
    told = set(re.findall(r"\$\{(REDRESS_\w+_PORT)\b", FILE.read_text("utf-8")))
    assert told == PORTS and "REDRESS_KAFKA_PORT" in told


def test_no_password_is_written_but_the_local_defaults(services):
    text = yaml.safe_dump(services) + (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"\$\{(\w*PASSWORD)", text)) == {"REDRESS_ADMIN_PASSWORD", "REDRESS_OWNER_PASSWORD", "REDRESS_APP_PASSWORD"}
    assert set(re.findall(r"PASSWORD(?!\})(.{3})", text)) <= {":-l", ": $"}


def test_services_may_write_nothing_and_may_become_nobody(services):
    for each in (*SERVICES, "setup"):
        assert services[each]["read_only"]
        assert services[each]["cap_drop"] == ["ALL"]
        assert services[each]["security_opt"] == ["no-new-privileges:true"]
    assert all(services[each]["volumes"][0] == "service-keys:/keys:ro" for each in SERVICES)
    files = [volume for each in SERVICES for volume in services[each]["volumes"][1:]]
    assert {(file["target"], file["read_only"]) for file in files} == {("/catalogue.yaml", True), ("/policy.yaml", True)}


def test_kafka_and_postgres_are_those_of_the_local_stack(services):
    assert (services["kafka"]["image"], services["postgres"]["image"]) == (KAFKA_IMAGE, POSTGRES_IMAGE)
    ours, local = services["kafka"]["environment"], kafka_environment(9092)
    assert set(local) - set(ours) == SHORT_SESSION
    assert {name for name, value in ours.items() if local.get(name) != value} == LISTENERS
    settings = dict(word.split("=", 1) for word in services["postgres"]["command"] if "=" in word)
    assert settings.items() <= SETTINGS.items()


def test_what_the_system_keeps_is_on_volumes(services):
    assert services["kafka"]["volumes"] == ["kafka:" + services["kafka"]["environment"]["KAFKA_LOG_DIRS"]]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]  # since 18 no longer …/data
    assert set(yaml.safe_load(FILE.read_text())["volumes"]) == {"kafka", "postgres", "keys", "service-keys", "spool"}


def test_a_rebuild_in_the_setup_job_spools_to_a_disk(services, stages):
    (folder,) = re.findall(r"^ENV TMPDIR=(\S+)$", stages["setup"], flags=re.MULTILINE)
    assert f"spool:{folder}" in services["setup"]["volumes"]
    assert folder not in services["setup"]["tmpfs"]
    made = stages["setup"].index(f"--owner redress --group redress --mode 0700 {folder} /service-keys")
    assert made < stages["setup"].index("USER "), "a new volume belongs to whom the image's folder belongs"


def test_the_setup_job_alone_sees_the_key_that_signs_tokens(services):
    """Whoever has it may be anybody."""
    mounted = {name: [each for each in service.get("volumes", []) if isinstance(each, str)] for name, service in services.items()}
    assert [name for name, volumes in mounted.items() if any(each.startswith("keys:") for each in volumes)] == ["setup"]


def test_no_image_runs_as_root_and_each_holds_what_it_runs(stages):
    assert {"setup", "service"} <= set(stages)
    assert all("USER 10001:10001" in stages[target] for target in ("setup", "service"))
    assert all(f"/app/services/{service}" in stages["setup"] for service in SERVICES)
    assert "dev.txt" not in "".join(stages.values())


def test_only_what_is_copied_goes_to_the_engine():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!")} == {
        "!requirements/runtime.txt",
        "!libs",
        "!services.toml",
        "!services",
        "!deploy/local",
        "!cli",
    }


async def test_the_setup_job_names_what_is_missing_and_makes_no_issuer_in_production(monkeypatch, tmp_path):
    for name in ("REDRESS_KAFKA", "REDRESS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Missing, match="REDRESS_KAFKA"):
        await take(STEPS, SERVICES)
    for_services = tmp_path / "for-services"
    for_services.mkdir()
    monkeypatch.setenv("REDRESS_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("REDRESS_SERVICE_KEYS", str(for_services))
    monkeypatch.setenv("REDRESS_PROFILE", "production")
    with pytest.raises(Missing, match="local"):
        await take(["keys"], SERVICES)
    assert not (tmp_path / "keys").exists()
    monkeypatch.setenv("REDRESS_PROFILE", "local")
    await take(["keys"], SERVICES)
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["issuer.json", "jwks.json", "mac", "master.key"]
    assert sorted(path.name for path in for_services.iterdir()) == ["jwks.json", "mac", "master.key"]
    assert (for_services / "master.key").read_bytes() == (tmp_path / "keys" / "master.key").read_bytes()
    assert {each.name for each in (for_services / "mac").iterdir()} == {f"{service}.1.key" for service in SERVICES}


@pytest.fixture
def two_brokers() -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        first = Kafka(Path(name) / "first")
        second = Kafka(Path(name) / "second", joins=first)
        for each in (first, second):
            each.start()
        yield first
        for each in (second, first):
            each.stop()


async def test_the_setup_job_makes_topics_that_services_in_production_are_content_with(monkeypatch, capsys, two_brokers):
    monkeypatch.delenv("REDRESS_PROFILE", raising=False)
    monkeypatch.setenv("REDRESS_KAFKA", two_brokers.address)
    monkeypatch.delenv("REDRESS_ACCEPT", raising=False)
    with pytest.raises(Missing, match=r"KAFKA_SECURITY: It is PLAINTEXT.*REDRESS_ACCEPT=plaintext-kafka accepts it"):
        await take(["topics"], SERVICES)
    monkeypatch.setenv("REDRESS_ACCEPT", "plaintext-kafka")
    with pytest.raises(TopicsNotMade, match=r"3 replicas, 2 of them in sync: InvalidReplicationFactor"):
        await take(["topics"], SERVICES)
    monkeypatch.setenv("REDRESS_REPLICATION_FACTOR", "2")
    with pytest.raises(Missing, match=r"^REDRESS_REPLICATION_FACTOR: It is 2: .* REDRESS_ACCEPT=few-replicas accepts it\.$"):
        await take(["topics"], SERVICES)
    monkeypatch.setenv("REDRESS_ACCEPT", "plaintext-kafka,few-replicas")
    await take(["topics"], SERVICES)
    assert "With 2 replicas, 2 of them in sync, nothing is shipped while one broker is away" in capsys.readouterr().out
    names = [topic.name for topic in topics.wanted(12)]
    assert await topics.replicas_for(two_brokers.address, names) == topics.Replicas(2, 2)
    flawed = await reality.flaws(two_brokers.address, topics.wanted(12, REPLICAS["production"].min_insync), dict.fromkeys(names, 2))
    assert flawed == []


@pytest.mark.parametrize("wrong", ["0", "two", "-1"])
async def test_the_setup_job_takes_no_number_of_replicas_that_is_none(monkeypatch, wrong):
    monkeypatch.setenv("REDRESS_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("REDRESS_PROFILE", "local")
    monkeypatch.setenv("REDRESS_REPLICATION_FACTOR", wrong)
    with pytest.raises(Missing, match="REDRESS_REPLICATION_FACTOR is not a number above 0"):
        await take(["topics"], SERVICES)


def test_the_passwords_that_everybody_can_read_are_those_of_this_file():
    assert set(re.findall(r"PASSWORD:-([\w-]+)\}", FILE.read_text())) == PASSWORDS


async def test_in_production_the_setup_job_takes_no_default_password_and_no_unchecked_server(monkeypatch, tmp_path):
    monkeypatch.setenv("REDRESS_PROFILE", "production")
    for name in ("REDRESS_ACCEPT", "REDRESS_OWNER_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDRESS_OWNER_PASSWORD_FILE", str(tmp_path / "owner"))
    monkeypatch.setenv("REDRESS_APP_PASSWORD", "good")
    monkeypatch.setenv("REDRESS_POSTGRES_ADMIN_DSN", "postgresql://postgres:hidden@127.0.0.1:9/postgres")
    with pytest.raises(Missing, match="REDRESS_OWNER_PASSWORD_FILE: The file cannot be read"):
        await take(["databases"], ["callback"])
    (tmp_path / "owner").write_text("local-owner\n")
    with pytest.raises(Missing, match="REDRESS_OWNER_PASSWORD: Its password is one that everybody can read"):
        await take(["databases"], ["callback"])
    (tmp_path / "owner").write_text("good\n")
    with pytest.raises(Missing, match="REDRESS_POSTGRES_ADMIN_DSN: Its sslmode is not set") as caught:
        await take(["databases"], ["callback"])
    assert "hidden" not in str(caught.value)


async def test_the_setup_job_prepares_one_service_and_may_be_repeated(monkeypatch, postgres_admin, kafka_address):
    passwords = {"owner_password": "owner-1", "app_password": "app-1"}
    environment = {"KAFKA": kafka_address, "POSTGRES_ADMIN_DSN": postgres_admin, "PROFILE": "local"}
    for name, value in (environment | {name.upper(): value for name, value in passwords.items()}).items():
        monkeypatch.setenv(PREFIX + name, value)
    databases = addresses(postgres_admin, "callback", **passwords)
    try:
        for _ in range(2):
            await take(["topics", "databases"], ["callback"])
        app = await connections.connect(databases.app_dsn)
        assert await app.fetchval("SELECT count(*) FROM live") == 1
        await app.close()
    finally:
        await drop(postgres_admin, databases)


async def test_an_owner_migrates_a_database_that_others_made_and_closes_it_to_them(monkeypatch, tmp_path, postgres_admin, kafka_address):
    made = await provision(postgres_admin, "callback", owner_password="owner/2@:", app_password="app-2")
    (tmp_path / "password").write_text("owner/2@:\n")
    address = made.app_dsn.replace(f"{made.app_role}:app-2@", f"{made.owner_role}@")
    admin = await connections.connect(postgres_admin)
    try:
        await admin.execute(f'GRANT CONNECT ON DATABASE "{made.name}" TO PUBLIC')
        told = {"KAFKA": kafka_address, "PROFILE": "local", "OWNER_URL": address, "OWNER_PASSWORD_FILE": str(tmp_path / "password")}
        for name, value in told.items():
            monkeypatch.setenv(PREFIX + name, value)
        with pytest.raises(Missing, match="--service"):
            await take(["migrate"], SERVICES)
        for _ in range(2):
            await take(["migrate"], ["callback"])
        app = await connections.connect(made.app_dsn)
        assert await app.fetchval("SELECT count(*) FROM live") == 1
        await app.close()
        assert not await admin.fetchval("SELECT has_database_privilege('public', $1, 'CONNECT')", made.name)
    finally:
        await admin.close()
        await drop(postgres_admin, made)


def test_without_docker_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompose, match="docker compose cannot be run"):
        read_compose(tmp_path / "stack")
    assert not (tmp_path / "stack").exists()
