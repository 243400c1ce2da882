"""The checks themselves: each question finds an object that was made wrong, and so does each schema."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from redress_chart import facts, policies, readme, validity
from redress_chart.rendering import CHART, NotRendered, changed, example, objects, rendered

Found = list[Any]
TLS = changed(example("operators"), tls={"enabled": True, "issuer": {"name": "internal"}, "caConfigMap": "internal-ca"})
EXAMPLES = {"operators": example("operators"), "managed": example("managed"), "tls": TLS}
RENDERED = {name: objects(rendered(values)) for name, values in EXAMPLES.items()}


def first(found: Found, kind: str, end: str = "") -> Any:
    return next(each for each in found if each["kind"] == kind and each["metadata"]["name"].endswith(end))


def pod(found: Found, kind: str = "Deployment", end: str = "") -> Any:
    return first(found, kind, end)["spec"]["template"]["spec"]


def container(found: Found, kind: str = "Deployment", end: str = "") -> Any:
    return pod(found, kind, end)["containers"][0]


def drop(found: Found, kind: str) -> None:
    found[:] = [each for each in found if each["kind"] != kind]


def secret(name: str) -> Any:
    return {"name": "more", "secret": {"secretName": name, "defaultMode": 0o440, "items": [{"key": "x", "path": "x"}]}}


WRONG: list[tuple[str, str, Callable[[Found], Any]]] = [
    ("pods_are_restricted", "managed", lambda found: pod(found)["securityContext"].pop("seccompProfile")),
    ("pods_are_restricted", "managed", lambda found: pod(found).update(hostNetwork=True)),
    ("pods_are_restricted", "managed", lambda found: pod(found)["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    ("pods_are_restricted", "managed", lambda found: container(found, "Job")["securityContext"].update(readOnlyRootFilesystem=False)),
    ("pods_are_restricted", "managed", lambda found: container(found)["securityContext"]["capabilities"].update(add=["NET_RAW"])),
    ("pods_have_no_account", "managed", lambda found: pod(found, "Job").pop("automountServiceAccountToken")),
    ("pods_have_no_account", "managed", lambda found: first(found, "ServiceAccount").update(automountServiceAccountToken=True)),
    ("the_chart_holds_no_secret", "managed", lambda found: first(found, "Service").update(kind="Secret")),
    ("the_chart_holds_no_secret", "managed", lambda found: container(found)["env"].append({"name": "A_PASSWORD", "value": "x"})),
    ("the_chart_holds_no_secret", "managed", lambda found: container(found)["env"].append({"name": "A", "value": "postgresql://a:b@c/d"})),
    ("each_mounts_what_it_needs", "managed", lambda found: pod(found, end="-triage")["volumes"].append(secret("redress-intake-app"))),
    ("each_mounts_what_it_needs", "managed", lambda found: pod(found, end="-triage")["volumes"].append(secret("redress-triage-owner"))),
    ("each_mounts_what_it_needs", "managed", lambda found: pod(found, "Job")["volumes"].append(secret("redress-master-key"))),
    ("each_mounts_what_it_needs", "managed", lambda found: pod(found)["volumes"][0]["secret"].pop("items")),
    ("each_mounts_what_it_needs", "managed", lambda found: pod(found)["volumes"][0]["secret"].update(defaultMode=0o444)),
    ("pods_have_bounds", "managed", lambda found: container(found)["resources"]["limits"].pop("memory")),
    ("pods_have_bounds", "managed", lambda found: pod(found)["volumes"][-1]["emptyDir"].clear()),
    ("pods_have_bounds", "managed", lambda found: container(found, "Job")["resources"]["requests"].pop("ephemeral-storage")),
    ("pods_have_an_account_of_their_own", "managed", lambda found: pod(found, "Job").pop("serviceAccountName")),
    ("databases_of_the_chart", "operators", lambda found: found.remove(first(found, "NetworkPolicy", "-postgres"))),
    ("databases_of_the_chart", "operators", lambda found: first(found, "NetworkPolicy", "-postgres")["spec"]["ingress"][0].pop("from")),
    ("who_speaks_tls", "tls", lambda found: container(found)["readinessProbe"]["httpGet"].update(scheme="HTTP")),
    ("who_speaks_tls", "managed", lambda found: container(found)["livenessProbe"]["httpGet"].update(scheme="HTTPS")),
    ("who_speaks_tls", "tls", lambda found: first(found, "Service")["spec"]["ports"][0].update(appProtocol="http")),
    ("who_speaks_tls", "tls", lambda found: first(found, "ServiceMonitor")["spec"]["endpoints"][0]["tlsConfig"].update(serverName="")),
    ("who_speaks_tls", "tls", lambda found: drop(found, "BackendTLSPolicy")),
    (
        "who_speaks_tls",
        "tls",
        lambda found: first(found, "Pod")["spec"]["containers"][0]["env"].append({"name": "REDRESS_URL", "value": "http://intake:8001"}),
    ),
    ("services_stop_and_start", "managed", lambda found: container(found)["livenessProbe"]["httpGet"].update(path="/health/ready")),
    ("services_stop_and_start", "managed", lambda found: pod(found).update(terminationGracePeriodSeconds=15)),
    ("services_stop_and_start", "managed", lambda found: first(found, "Deployment")["spec"].update(strategy={"type": "Recreate"})),
    ("services_survive_a_node", "managed", lambda found: drop(found, "PodDisruptionBudget")),
    ("services_survive_a_node", "managed", lambda found: pod(found)["topologySpreadConstraints"].pop()),
    ("an_autoscaler_owns_the_number", "operators", lambda found: first(found, "Deployment")["spec"].update(replicas=2)),
    ("an_autoscaler_owns_the_number", "operators", lambda found: drop(found, "ScaledObject")),
    ("selectors_find_their_pods", "managed", lambda found: first(found, "Service")["spec"].update(selector={"app": "x"})),
    ("nobody_talks_to_everybody", "managed", lambda found: drop(found, "NetworkPolicy")),
    ("nobody_talks_to_everybody", "managed", lambda found: found.remove(first(found, "NetworkPolicy", "-nobody"))),
    ("nobody_talks_to_everybody", "managed", lambda found: first(found, "NetworkPolicy", "-intake")["spec"]["egress"].append({})),
    (
        "nobody_talks_to_everybody",
        "managed",
        lambda found: first(found, "NetworkPolicy", "-intake")["spec"]["ingress"][0]["from"].append({}),
    ),
    ("jobs_reach_kafka_and_postgres", "managed", lambda found: first(found, "NetworkPolicy", "-setup")["spec"]["egress"].append({})),
    (
        "callers_from_outside_reach",
        "operators",
        lambda found: first(found, "HTTPRoute")["spec"]["rules"][0]["filters"][0]["urlRewrite"]["path"].update(replacePrefixMatch="/"),
    ),
    (
        "callers_from_outside_reach",
        "managed",
        lambda found: first(found, "Ingress")["spec"]["rules"][0]["http"]["paths"][0].update(path="/intake/metrics"),
    ),
    ("callers_from_outside_reach", "managed", lambda found: first(found, "Ingress")["spec"].pop("tls")),
    ("connections_are_secured", "managed", lambda found: container(found)["env"].append({"name": "REDRESS_JWKS", "value": "http://x"})),
    ("connections_are_secured", "managed", lambda found: container(found)["env"].append({"name": "REDRESS_PROFILE", "value": "local"})),
    (
        "connections_are_secured",
        "managed",
        lambda found: container(found)["env"].append({"name": "REDRESS_KAFKA_SECURITY", "value": "PLAINTEXT"}),
    ),
    (
        "connections_are_secured",
        "managed",
        lambda found: container(found)["env"].append({"name": "REDRESS_DATABASE_URL", "value": "postgresql://x/y?sslmode=require"}),
    ),
    (
        "users_of_kafka_have_the_rights",
        "operators",
        lambda found: first(found, "KafkaUser")["spec"]["authorization"]["acls"][1]["operations"].append("Write"),
    ),
    ("what_is_kept_for_ever", "operators", lambda found: first(found, "KafkaTopic")["metadata"].pop("annotations")),
    ("the_port_for_operations", "operators", lambda found: container(found)["ports"].pop()),
    ("the_port_for_operations", "operators", lambda found: container(found)["env"].remove({"name": "REDRESS_OPS_PORT", "value": "9090"})),
    ("the_port_for_operations", "operators", lambda found: first(found, "ServiceMonitor")["spec"]["endpoints"][0].update(port="http")),
    (
        "the_port_for_operations",
        "operators",
        lambda found: first(found, "NetworkPolicy", "-intake")["spec"]["ingress"][0]["ports"].append({"port": 9090}),
    ),
    ("images_have_a_version", "managed", lambda found: container(found).update(image="redress/intake:latest")),
    ("images_have_a_version", "managed", lambda found: container(found).update(image="registry:5000/redress/intake")),
    ("objects_say_where_and_whose", "managed", lambda found: first(found, "Service")["metadata"].pop("namespace")),
]


@pytest.mark.parametrize(("question", "name", "spoil"), WRONG)
def test_each_question_finds_what_is_wrong(question: str, name: str, spoil: Callable[[Found], Any]):
    found = copy.deepcopy(RENDERED[name])
    spoil(found)
    findings = policies.findings(found)
    assert findings
    assert {each for each in findings if each.startswith(question)}, findings


def test_each_question_is_asked():
    names = [question.__name__ for question in policies.QUESTIONS]
    assert [name for name in names if not any(name.startswith(each) for each, _, _ in WRONG)] == []


@pytest.mark.parametrize(
    ("kind", "spoil", "message"),
    [
        ("Deployment", lambda spec: spec.update(replica=3), "replica"),
        ("Deployment", lambda spec: spec.update(replicas="3"), "is not of type"),
        ("NetworkPolicy", lambda spec: spec.update(egres=[]), "egres"),
        ("KafkaUser", lambda spec: spec["authorization"]["acls"][0].update(operation="Read"), "operation"),
        ("KafkaTopic", lambda spec: spec["config"].update({"retention.ms": -1}), "is not of type"),
        ("Cluster", lambda spec: spec.update(primaryUpdateStrategie="supervised"), "primaryUpdateStrategie"),
        ("Database", lambda spec: spec.pop("owner"), "owner"),
        ("HTTPRoute", lambda spec: spec["rules"][0]["matches"][0]["path"].update(type="Regex"), "Regex"),
        ("ScaledObject", lambda spec: spec["triggers"][0]["metadata"].update(lagThreshold=5), "is not of type"),
        ("ExternalSecret", lambda spec: spec["data"][0]["remoteRef"].pop("key"), "key"),
        ("ServiceMonitor", lambda spec: spec["endpoints"][0].update(interval="often"), "often"),
        ("Certificate", lambda spec: spec.pop("issuerRef"), "issuerRef"),
        ("BackendTLSPolicy", lambda spec: spec["validation"].pop("hostname"), "hostname"),
    ],
)
def test_an_object_that_no_api_server_would_take_is_found(kind: str, spoil: Callable[[Any], Any], message: str):
    each = copy.deepcopy(first(RENDERED["tls"], kind))
    spoil(each["spec"])
    flaws = list(validity.flaws([each]))
    assert flaws and all(flaw.startswith(f"{kind} {each['metadata']['name']}") for flaw in flaws)
    assert message in flaws[0]


def test_names_labels_and_unknown_kinds_are_found():
    service = first(RENDERED["managed"], "Service")
    other = copy.deepcopy(service)
    other["metadata"]["labels"]["a"] = "two words"
    other["metadata"]["name"] = "Intake"
    other["metadata"]["annotations"] = {"a": 1}
    flaws = "\n".join(validity.flaws([other]))
    assert all(each in flaws for each in ("its name is none", "the label a has the value 'two words'", "the annotation a is no text"))
    assert list(validity.flaws([service, service])) == [f"Service {service['metadata']['name']} is there twice"]
    gone = {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "a"}}
    assert all("has no policy/v1beta1 PodSecurityPolicy" in flaw for flaw in validity.flaws([gone]))


def test_a_key_that_stands_twice_is_found():
    with pytest.raises(NotRendered, match="name stands twice"):
        objects("metadata:\n  name: a\n  labels: {}\n  name: b\n")


def test_a_value_that_nothing_is_said_of_is_named():
    text = (CHART / "values.yaml").read_text()
    assert len(list(readme.rows(text))) > 60
    with pytest.raises(readme.Unsaid, match=r"nothing of kafka\.bootstrap"):
        list(readme.rows(text.replace("  # -- Addresses, `host:port`", "  # Addresses, `host:port`")))


def test_every_value_has_a_shape():
    """Else a mistake in its name would be taken without a word."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def missing(value: Any, shape: Any, path: str) -> list[str]:
        shape = schema["definitions"][shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
        if not isinstance(value, dict) or "properties" not in shape:
            return []
        assert shape["additionalProperties"] is False, path
        return [path + name for name in value.keys() ^ shape["properties"].keys()] + [
            each
            for name in value.keys() & shape["properties"].keys()
            for each in missing(value[name], shape["properties"][name], f"{path}{name}.")
        ]

    ours = {"defaults.resources.requests.ephemeral-storage", "defaults.resources.limits.ephemeral-storage"}
    wanted = {
        f"{before}.{limit}.{what}"
        for before in ("jobs.resources", "postgres.cloudnativepg.resources", "defaults.resources")
        for limit in ("requests", "limits")
        for what in ("ephemeral-storage", "cpu")
    }
    assert set(missing(values, schema, "")) <= ours | wanted


def test_the_dockerfile_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    assert facts.container() == {"port": 8080, "ops_port": 9090, "user": 10001, "spool": "/spool", "grace": 10}
    (tmp_path / "Dockerfile").write_text("EXPOSE 8080\nEXPOSE 9090\n")
    monkeypatch.setattr(facts, "ROOT", tmp_path)
    with pytest.raises(facts.NotFound, match="2 lines like"):
        facts.container()
