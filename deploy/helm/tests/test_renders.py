"""What the chart renders: each example is what its golden file shows, taken by Helm and by an API server, and content for an auditor.

Long, for each choice of the values has a test of what it renders.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from redress_chart import facts, policies, validity
from redress_chart.__main__ import derived, drift, golden
from redress_chart.rendering import CHART, EXAMPLES, NotRendered, changed, example, lint, objects, rendered
from redress_chassis import Settings
from redress_chassis.settings import PREFIX
from redress_cli.target import ServiceEnvironment
from redress_local.places import ENTRIES, ROOT, SERVICES

Values = dict[str, Any]
MANAGED = example("managed")
TLS = changed(example("operators"), tls={"enabled": True, "issuer": {"name": "internal", "kind": "Issuer"}, "caConfigMap": "internal-ca"})
VERIFY = {"service": "triage", "command": ["verify"]}


def of(kind: str, values: Values) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in objects(rendered(values)) if each["kind"] == kind}


@pytest.fixture(scope="module", params=EXAMPLES)
def found(request: pytest.FixtureRequest) -> list[Any]:
    return objects(rendered(example(request.param)))


def test_the_files_of_the_chart_are_those_that_follow():
    assert [*drift(derived()), *drift(golden())] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_helm_finds_nothing(name: str):
    assert lint(example(name)) == []


def test_an_api_server_would_take_it(found: list[Any]):
    assert list(validity.flaws(found)) == []


def test_an_auditor_finds_nothing(found: list[Any]):
    assert policies.findings(found) == []


def test_every_service_is_there_with_its_image_and_port(found: list[Any]):
    deployments = {each["metadata"]["name"]: each for each in found if each["kind"] == "Deployment"}
    assert list(deployments) == [f"redress-{service}" for service in SERVICES]
    exposed = {int(port) for port in re.findall(r"^EXPOSE (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in SERVICES:
        (container,) = deployments[f"redress-{service}"]["spec"]["template"]["spec"]["containers"]
        assert re.split("[@:]", container["image"])[0].endswith(compose[service]["image"])
        assert {port["containerPort"] for port in container["ports"]} - {facts.OPS_PORT} == exposed
    ports = {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in found if each["kind"] == "Service"}
    assert ports == {f"redress-{service}": ENTRIES[service].port for service in SERVICES}


def test_every_setting_that_is_told_is_one_and_none_that_is_required_is_missing(found: list[Any]):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    required = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    for each in found:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            told = {variable["name"] for variable in container["env"] if variable["name"].startswith(PREFIX)}
            assert required <= told <= known | {facts.POLICY, facts.CATALOGUE}


def test_what_the_jobs_are_told_is_what_the_setup_job_reads(found: list[Any]):
    job = (ROOT / "deploy/local/redress_local/setup_job.py").read_text()
    read = {*re.findall(r"REDRESS_[A-Z_]+", job), *(PREFIX + name.upper() for name in Settings.model_fields if name.startswith("kafka_"))}
    read |= {f"{name}_FILE" for name in read if name.endswith("_PASSWORD")}
    jobs = [each for each in found if each["kind"] == "Job"]
    assert len(jobs) in (len(SERVICES), len(SERVICES) + 1)
    for each in jobs:
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert {variable["name"] for variable in container["env"] if variable["name"].startswith(PREFIX)} <= read
        assert container["args"][0] in ("topics", "migrate")


def test_jobs_come_first_where_all_that_they_need_is_there_and_wait_where_the_chart_itself_asks_for_it():
    """A hook would wait for ever for a database that is made behind it."""
    jobs = of("Job", MANAGED)
    weights = {name: each["metadata"]["annotations"]["helm.sh/hook-weight"] for name, each in jobs.items()}
    assert {name: weight for name, weight in weights.items() if weight == "-10"}.keys() == {name for name in jobs if "topics" in name}
    assert all(each["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade" for each in jobs.values())
    for values in (example("operators"), example("kind"), changed(MANAGED, externalSecrets={"enabled": True, "store": {"name": "vault"}})):
        assert not [each for each in of("Job", values).values() if "annotations" in each["metadata"]]


@pytest.mark.parametrize(
    "other",
    [
        {"image__tag": "2"},
        {"image__pullPolicy": "Always"},
        {"image__pullSecrets": ["other"]},
        {"macKeys": {"name": "other"}},
        {"masterKey": {"name": "other"}},
        {"masterKey": {"key": "other"}},
        {"masterKey": {"numbers": [1, 2]}},
        {"services": {name: {"postgresHost": "other.example.com"} for name in SERVICES}},
    ],
)
def test_a_job_that_is_told_otherwise_is_another_job(other: Values):
    """An API server refuses to change one."""
    values = changed(MANAGED, image__digests={}, services={})
    before, after = (
        {name: each["spec"]["template"] for name, each in of("Job", told).items()} for told in (values, changed(values, **other))
    )
    assert before != after
    assert all(before[name] == after[name] for name in before.keys() & after.keys())


def test_one_service_can_be_held_back_in_an_upgrade():
    deployments = of("Deployment", changed(example("kind"), image={"tag": "2"}, services={"intake": {"tag": "1"}}))
    images = {name: each["spec"]["template"]["spec"]["containers"][0]["image"] for name, each in deployments.items()}
    assert images.pop("redress-intake") == "redress/intake:1"
    assert {image.rpartition(":")[2] for image in images.values()} == {"2"}


def test_what_is_said_of_one_service_changes_that_one_alone():
    before, after = of("Deployment", example("kind")), of("Deployment", changed(example("kind"), services={"triage": {"replicas": 3}}))
    assert [name for name in before if before[name] != after[name]] == ["redress-triage"]
    assert after["redress-triage"]["spec"]["replicas"] == 3


@pytest.mark.parametrize(("variable", "service"), [(facts.POLICY, "sla-monitor"), (facts.CATALOGUE, "intake")])
def test_a_policy_is_mounted_in_the_service_that_reads_it_alone(variable: str, service: str):
    told = {
        name: [each for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"] if each["name"] == variable]
        for name, deployment in of("Deployment", MANAGED).items()
    }
    assert [name for name, variables in told.items() if variables] == [f"redress-{service}"]


def test_files_that_settings_of_identity_name_are_mounted_in_services_alone():
    values = changed(MANAGED, identity__filesSecret="refused", settings={"REDRESS_DENY_FILE": "/etc/redress/identity/denied"})
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    mounting = {labels["app.kubernetes.io/component"] for _, pod, labels in policies.pods(found) if "refused" in policies.secrets_of(pod)}
    assert mounting == set(SERVICES)
    mounts = of("Deployment", values)["redress-triage"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "identity", "mountPath": "/etc/redress/identity", "readOnly": True} in mounts


def test_two_master_keys_stand_beside_each_other_while_they_are_exchanged():
    values = changed(MANAGED, masterKey={"numbers": [1, 2]}, externalSecrets={"enabled": True, "store": {"name": "vault"}})
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    there = ["master.key", "master.2.key"]
    pod = of("Deployment", values)["redress-triage"]["spec"]["template"]["spec"]
    assert [[item["path"] for item in each["secret"]["items"]] for each in pod["volumes"] if each["name"] == "master-key"] == [there]
    assert [each["secretKey"] for each in of("ExternalSecret", values)["redress-master-key"]["spec"]["data"]] == there


def test_vault_is_told_and_reached_by_who_needs_the_master_keys():
    vault = {"url": "https://vault.example.com:8200", "tokenSecret": {"name": "vault-token"}, "caSecret": {"name": "vault-ca"}}
    peers = [{"ipBlock": {"cidr": "203.0.113.7/32"}}]
    values = changed(MANAGED, masterKey={"vault": vault}, networkPolicy__vault=peers)
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    for name in ("redress-triage", "redress-intake"):
        pod = of("Deployment", values)[name]["spec"]["template"]["spec"]
        told = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert told["REDRESS_VAULT_URL"] == vault["url"] and told["REDRESS_VAULT_TOKEN_FILE"] == "/etc/redress/vault-token/token"
        assert {"vault-token", "vault-ca"} <= {each["name"] for each in pod["volumes"]}
    network = of("NetworkPolicy", values).items()
    out = {name for name, each in network if any(rule["to"] == peers for rule in each["spec"].get("egress", ()))}
    assert out == {f"redress-{each}" for each in (*SERVICES, "setup", "operator")}


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (example("kind"), None),
        (example("operators"), "/triage"),
        (MANAGED, "/triage"),
        (changed(MANAGED, ingress__path="/care/{service}/((?:{operations})(?:/.*)?)$"), "/care/triage"),
    ],
)
def test_a_service_knows_under_which_path_routes_show_it(values: Values, shown: str | None):
    told = of("Deployment", values)["redress-triage"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [each["value"] for each in told if each["name"] == "REDRESS_ROOT_PATH"] == ([shown] if shown else [])


def test_intake_alone_posts_webhooks():
    cidr = "0.0.0.0/0"
    out = {
        name: [peer for rule in each["spec"].get("egress", ()) for peer in rule["to"] if peer.get("ipBlock", {}).get("cidr") == cidr]
        for name, each in of("NetworkPolicy", MANAGED).items()
    }
    assert [name for name, peers in out.items() if peers] == ["redress-intake"]


def test_strimzi_makes_the_topics_that_services_compare_with():
    topics = {each["name"]: each for each in facts.facts()["topics"]}
    made = of("KafkaTopic", example("operators"))
    assert made.keys() == topics.keys()
    for name, each in made.items():
        assert each["spec"]["config"] == topics[name]["settings"] | {"min.insync.replicas": "2"}
        assert each["spec"]["partitions"] == (12 if topics[name]["partitioned"] else 1)


def test_callback_alone_writes_what_others_read():
    """The public topic."""
    writers = {
        (name, acl["resource"]["name"])
        for name, each in of("KafkaUser", example("operators")).items()
        for acl in each["spec"]["authorization"]["acls"]
        if "Write" in acl["operations"]
    }
    assert {name for name, topic in writers if topic == "complaints.closed.v1"} == {"redress-callback-kafka"}
    assert {name for name, topic in writers if topic == "complaints.lifecycle.v1"} == {f"redress-{each}-kafka" for each in SERVICES}


def test_a_user_with_a_certificate_shows_that_instead_of_a_password():
    deployment = of("Deployment", changed(example("operators"), kafka__security="SSL"))["redress-intake"]["spec"]["template"]["spec"]
    told = {variable["name"] for variable in deployment["containers"][0]["env"]}
    assert {"REDRESS_KAFKA_CERT_FILE", "REDRESS_KAFKA_KEY_FILE"} <= told
    assert not told & {"REDRESS_KAFKA_PASSWORD_FILE", "REDRESS_KAFKA_USERNAME", "REDRESS_KAFKA_SASL_MECHANISM"}
    users = of("KafkaUser", changed(example("operators"), kafka__security="SSL")).values()
    assert {each["spec"]["authentication"]["type"] for each in users} == {"tls"}


def test_external_secrets_make_every_secret_that_is_named_and_no_other_does():
    values = changed(
        MANAGED,
        externalSecrets={"enabled": True, "store": {"name": "vault"}},
        operator=VERIFY,
        tls={"enabled": True, "caConfigMap": "internal-ca"},
    )
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    named = set[str]().union(*(policies.secrets_of(pod) for _, pod, _ in policies.pods(found)))
    made = {each["metadata"]["name"] for each in found if each["kind"] == "ExternalSecret"}
    assert named - made == {"postgres-ca", "redress-smoke-test"}  # what no store has: a certificate, and a token that soon ends
    assert made <= named


def test_services_that_speak_tls_are_asked_by_it_and_show_a_certificate_that_names_them():
    found = objects(rendered(TLS))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    certificates = of("Certificate", TLS)
    assert certificates.keys() == {f"redress-{service}-tls" for service in SERVICES}
    intake = certificates["redress-intake-tls"]["spec"]
    assert intake["dnsNames"] == ["redress-intake", "redress-intake.redress", "redress-intake.redress.svc"]
    assert intake["issuerRef"] == {"name": "internal", "kind": "Issuer", "group": "cert-manager.io"}
    pod = of("Deployment", TLS)["redress-intake"]["spec"]["template"]["spec"]
    assert "redress-intake-tls" in policies.secrets_of(pod)
    (smoke,) = of("Pod", TLS).values()
    told = {each["name"]: each.get("value") for each in smoke["spec"]["containers"][0]["env"]}
    assert told["SERVICES"].split()[0] == "intake=https://redress-intake:8001"
    assert told["CA_FILE"] in {f"{each['mountPath']}/ca.crt" for each in smoke["spec"]["containers"][0]["volumeMounts"]}
    for each in of("BackendTLSPolicy", TLS).values():
        assert each["spec"]["validation"]["hostname"] in certificates[f"{each['metadata']['name']}-tls"]["spec"]["dnsNames"]
    for name, each in of("ServiceMonitor", TLS).items():
        assert each["spec"]["endpoints"][0]["tlsConfig"]["serverName"] in certificates[f"{name}-tls"]["spec"]["dnsNames"]
    (ingress,) = of("Ingress", changed(MANAGED, tls=TLS["tls"])).values()
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"


def test_certificates_that_are_there_are_not_made():
    assert of("Certificate", changed(TLS, tls__issuer={"name": ""})) == {}


def test_a_client_of_kafka_gets_a_token():
    values = changed(
        MANAGED,
        kafka__mechanism="OAUTHBEARER",
        kafka__oauth={"tokenUrl": "https://login.example.com/token", "scope": "kafka"},
        networkPolicy__kafkaTokens=[{"ipBlock": {"cidr": "203.0.113.9/32"}}],
    )
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    for _, container in policies.containers([each for each in found if each["kind"] != "Pod"]):
        told = {each["name"]: each.get("value") for each in container["env"]}
        assert told["REDRESS_KAFKA_TOKEN_URL"] == "https://login.example.com/token" and told["REDRESS_KAFKA_TOKEN_SCOPE"] == "kafka"
    for name, policy in of("NetworkPolicy", values).items():
        peers = [peer.get("ipBlock", {}).get("cidr") for rule in policy["spec"].get("egress", ()) for peer in rule["to"]]
        assert ("203.0.113.9/32" in peers) == (not name.endswith(("-nobody", "-smoke-test")))


def test_a_collector_is_shown_headers_of_a_secret():
    values = changed(
        example("operators"),
        tracing__headersSecret={"name": "collector"},
        tracing__caSecret={"name": "collector", "key": "authority"},
        tracing__settings={"OTEL_BSP_MAX_QUEUE_SIZE": "4096"},
    )
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    (container,) = of("Deployment", values)["redress-triage"]["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
    assert told["OTEL_EXPORTER_OTLP_HEADERS"] == {"secretKeyRef": {"name": "collector", "key": "headers"}}
    assert told["OTEL_EXPORTER_OTLP_CERTIFICATE"] == "/etc/redress/tracing-ca/ca.crt"
    assert told["OTEL_BSP_MAX_QUEUE_SIZE"] == "4096"


@pytest.mark.parametrize("values", [changed(MANAGED, operator=VERIFY), changed(TLS, operator=VERIFY)])
def test_an_operators_command_is_a_job_of_the_services_image(values: Values):
    found = objects(rendered(values))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    (job,) = [each for each in found if each["kind"] == "Job" and "generateName" in each["metadata"]]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["redress", "verify"]
    assert container["image"] == of("Deployment", values)["redress-triage"]["spec"]["template"]["spec"]["containers"][0]["image"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    known = {PREFIX + name.upper() for name in ServiceEnvironment.model_fields | Settings.model_fields}
    assert {name for name in told if name.startswith(PREFIX)} <= known
    assert told["SERVICE"] == "triage" and told["REDRESS_URL"].endswith("://redress-triage:8002") and "REDRESS_OWNER_URL" not in told
    assert {each for each in policies.secrets_of(pod) if each.endswith("-kafka")} == {"redress-tools-kafka"}
    rebuild = {"service": "triage", "command": ["rebuild", "triage", "--yes"], "owner": True, "tokenSecret": "ops", "who": "4711"}
    again = changed(values, operator=rebuild)
    (other,) = [each for each in objects(rendered(again)) if each["kind"] == "Job" and "generateName" in each["metadata"]]
    told = {each["name"]: each.get("value") for each in other["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (told["REDRESS_OWNER_PASSWORD_FILE"], told["REDRESS_OPERATOR"]) == ("/etc/redress/owner/password", "4711")
    assert policies.secrets_of(other["spec"]["template"]["spec"]) >= {"redress-triage-owner", "ops"}
    assert policies.findings(objects(rendered(again))) == []


def test_strimzi_makes_a_user_that_reads_and_one_that_restores_where_it_is_asked_for():
    services = {f"redress-{service}-kafka" for service in SERVICES}
    assert of("KafkaUser", example("operators")).keys() - services == {"redress-tools-kafka"}
    users = of("KafkaUser", changed(example("operators"), kafka__users={"tools": False, "restore": True}))
    assert users.keys() - services == {"redress-restore-kafka"}
    assert "Delete" in users["redress-restore-kafka"]["spec"]["authorization"]["acls"][0]["operations"]


def test_another_chart_that_says_the_same_of_a_service_starts_none_of_its_processes_anew(tmp_path: Path):
    """Else one that is held back by its tag is started anew with the others."""
    chart = tmp_path / "redress"
    shutil.copytree(CHART, chart)
    told = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(told | {"version": "0.2.0+build.7", "appVersion": "0.2.0+build.7"}))
    pods = [
        {what: (spec, labels) for what, spec, labels in policies.pods(objects(text)) if what.startswith("Deployment")}
        for text in (rendered(MANAGED), rendered(MANAGED, chart=chart))
    ]
    assert pods[0] == pods[1]
    assert list(validity.flaws(objects(rendered(example("kind"), chart=chart)))) == []  # no label and no tag has a plus sign


def test_monitoring_brings_what_there_is(tmp_path: Path):
    chart = tmp_path / "redress"
    shutil.copytree(CHART, chart)
    (chart / "files" / "alerts.yml").unlink(missing_ok=True)
    shutil.rmtree(chart / "files" / "dashboards", ignore_errors=True)
    without = objects(rendered(example("operators"), chart=chart))
    assert not [each for each in without if each["kind"] == "PrometheusRule" or each["metadata"]["name"].endswith("-dashboards")]
    annotations = {"summary": "{{ $labels.service }} lags by {{ $value }}"}
    rules = {"groups": [{"name": "redress", "rules": [{"alert": "Lag", "expr": "redress_lag_seconds > 60", "annotations": annotations}]}]}
    (chart / "files" / "alerts.yml").write_text(yaml.safe_dump(rules))
    (chart / "files" / "dashboards").mkdir()
    (chart / "files" / "dashboards" / "one.json").write_text('{\n  "title": "{{ one }}"\n}\n')
    found = objects(rendered(example("operators"), chart=chart))
    assert list(validity.flaws(found)) == policies.findings(found) == []
    (rule,) = [each for each in found if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == rules, "Prometheus' own templates stay as they are"
    (dashboards,) = [each for each in found if each["metadata"]["name"] == "redress-dashboards"]
    assert list(dashboards["data"]) == ["one.json"]
    assert "{{ one }}" in dashboards["data"]["one.json"]


def test_the_smoke_test_is_one_file_of_the_standard_library():
    """It runs in an image whose packages it does not count on."""
    tree = ast.parse((CHART / "files" / "smoke_test.py").read_text())
    imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"json", "os", "ssl", "sys", "time", "urllib", "uuid"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"identity__issuer": ""}, "identity.issuer is missing"),
        ({"identity__jwks": ""}, "identity.jwks is missing"),
        ({"identity__jwks": "http://issuer.example.com"}, "/identity/jwks"),
        ({"kafka__bootstrap": ""}, "kafka.bootstrap is missing"),
        ({"kafka__bootstrap": "SSL://kafka:9093"}, "/kafka/bootstrap"),
        ({"kafka__security": "PLAINTEXT"}, "/kafka/security"),
        ({"kafka__managedBy": "strimzi"}, "kafka.strimzi.cluster is missing"),
        ({"kafka__managedBy": "strimzi", "kafka__strimzi": {"cluster": "k"}, "kafka__mechanism": "PLAIN"}, "SCRAM-SHA-512 alone"),
        ({"kafka__minInsyncReplicas": 4}, "there is no such topic"),
        ({"postgres__host": ""}, "services.triage.postgresHost"),
        ({"postgres__caSecret": {"name": ""}}, "postgres.caSecret.name is missing"),
        ({"externalSecrets": {"enabled": True}}, "externalSecrets.store.name is missing"),
        ({"networkPolicy__kafka": []}, "networkPolicy.kafka is empty"),
        ({"networkPolicy__postgres": []}, "networkPolicy.postgres is empty"),
        ({"networkPolicy__identity": []}, "networkPolicy.identity is empty"),
        ({"tracing": {"endpoint": "http://collector:4318"}}, "networkPolicy.tracing is empty"),
        ({"masterKey": {"vault": {"url": "https://vault:8200", "tokenSecret": {"name": "t"}}}}, "networkPolicy.vault is empty"),
        (
            {"masterKey": {"vault": {"url": "https://vault:8200"}}, "networkPolicy__vault": [{"podSelector": {}}]},
            "masterKey.vault.tokenSecret.name is missing",
        ),
        ({"masterKey": {"vault": {"url": "http://vault:8200"}}}, "/masterKey/vault/url"),
        ({"masterKey": {"numbers": []}}, "/masterKey/numbers"),
        ({"settings": {"REDRESS_VAULT_URL": "x"}}, "REDRESS_VAULT_URL is set by the chart"),
        ({"tracing": {"sample": "all"}}, "/tracing/sample"),
        ({"networkPolicy__callers": [{}, {"everybody": True}]}, "/networkPolicy/callers"),
        ({"networkPolicy__webhooks": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, "put 169.254.0.0/16 into except"),
        ({"ingress__tlsSecret": ""}, "ingress.tlsSecret is missing"),
        ({"ingress__host": ""}, "ingress.host is missing"),
        ({"gateway": {"enabled": True}}, "gateway.parentRefs is empty"),
        ({"settings": {"REDRESS_JWKS": "x"}}, "REDRESS_JWKS is set by the chart"),
        ({"services__triage": {"settings": {"REDRESS_PROFILE": "local"}}}, "REDRESS_PROFILE is set by the chart"),
        ({"settings": {"LOG_LEVEL": "debug"}}, "invalid propertyName 'LOG_LEVEL'"),
        ({"services__billing": {"replicas": 1}}, "invalid propertyName 'billing'"),
        ({"services__intake": {"replica": 1}}, "/services/intake"),
        ({"services__intake": {"replicas": 0}}, "/services/intake/replicas"),
        ({"services__triage": {"autoscaling": {"kind": "lag", "max": 25}}}, "replicas beyond 24 read nothing"),
        ({"services__triage": {"autoscaling": {"kind": "cpu", "min": 9}}}, "autoscaling.max is below its min"),
        ({"image__digests": {"intake": "latest"}}, "/image/digests/intake"),
        ({"services__intake": {"tag": "2"}}, "hold that service back by its digest"),
        ({"kafka__mechanism": "OAUTHBEARER"}, "kafka.oauth.tokenUrl is missing"),
        ({"kafka__mechanism": "OAUTHBEARER", "kafka__oauth": {"tokenUrl": "https://a/b"}}, "networkPolicy.kafkaTokens is empty"),
        ({"tls": {"enabled": True}}, "tls.caConfigMap is missing"),
        ({"tracing": {"settings": {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}}}, "name it by tracing.headersSecret"),
        ({"tracing": {"settings": {"LOG_LEVEL": "debug"}}}, "LOG_LEVEL"),
        ({"operator": {"service": "intake"}}, "operator.command is missing"),
        ({"operator": {"command": ["verify"]}}, "operator.service is missing"),
        ({"operator": {"service": "billing", "command": ["verify"]}}, "/operator/service"),
        ({"masterkey": {"name": "x"}}, "masterkey"),
    ],
)
def test_values_that_cannot_be_are_refused_with_a_sentence(values: Values, message: str):
    with pytest.raises(NotRendered) as refusal:
        rendered(changed(MANAGED, **values))
    assert message in str(refusal.value)


def test_a_long_name_of_a_release_is_refused():
    with pytest.raises(NotRendered, match="30 letters at most"):
        rendered(MANAGED, release="a-name-that-is-longer-than-others")
