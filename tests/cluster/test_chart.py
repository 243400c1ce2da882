"""The chart on a real API server, with real controllers: what it takes, what becomes of it, and what an upgrade and an uninstall leave.

No service runs here: nodes are on paper. What the pods do, and whether networks keep to the policies, is not shown.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import NODES, ControlPlane, Kubelet, eventually

from redress_chart import policies
from redress_chart.rendering import CHART, EXAMPLES, HELM, changed, example, objects
from redress_local.places import SERVICES

RELEASE = "redress"
# What the examples leave out: services that speak TLS, users with tokens, headers for a collector.
FURTHER: dict[str, dict[str, Any]] = {
    "tls": changed(
        example("operators"),
        tls={"enabled": True, "issuer": {"name": "internal", "kind": "Issuer"}, "caConfigMap": "internal-ca"},
        tracing__headersSecret={"name": "tracing"},
        tracing__caSecret={"name": "tracing"},
        kafka__users={"tools": True, "restore": True},
        userNamespaces=True,
    ),
    "tokens": changed(
        example("managed"),
        kafka__mechanism="OAUTHBEARER",
        kafka__oauth={"tokenUrl": "https://login.example.com/token", "scope": "kafka"},
        networkPolicy__kafkaTokens=[{"ipBlock": {"cidr": "203.0.113.0/24"}}],
    ),
    "fetched": changed(
        example("managed"),
        externalSecrets={"enabled": True, "store": {"name": "vault"}},
        tls={"enabled": True, "caConfigMap": "internal-ca"},
    ),
}
CASES = {name: example(name) for name in EXAMPLES} | FURTHER


def written(folder: Path, values: object) -> str:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    return str(file)


def template(plane: ControlPlane, folder: Path, values: object, *words: str, namespace: str = RELEASE) -> list[Any]:
    done = plane.helm("template", RELEASE, str(CHART), "--namespace", namespace, "--values", written(folder, values), *words)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def by_name(found: list[Any]) -> dict[tuple[str, str], Any]:
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.fixture(scope="module")
def namespace(plane: ControlPlane) -> str:
    return plane.add_namespace(RELEASE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_program_helm_renders_what_its_library_does(plane: ControlPlane, tmp_path: Path, name: str):
    """The golden files, but for empty lines, which those leave out."""
    found = template(plane, tmp_path, example(name))
    for each in found:
        for key, text in each.get("data", {}).items() if each["kind"] == "ConfigMap" else ():
            each["data"][key] = "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())
    assert by_name(found) == by_name(objects((HELM / "golden" / f"{name}.yaml").read_text("utf-8")))


@pytest.mark.parametrize("name", CASES)
def test_the_api_server_takes_every_object_without_a_warning(plane: ControlPlane, namespace: str, tmp_path: Path, name: str):
    """Strictly: an unknown field is refused. The namespace warns of each template whose pods it would not let in."""
    found = [each for each in template(plane, tmp_path, CASES[name]) if each["kind"] != "Pod"]
    told = {"apiVersion": "v1", "kind": "List", "items": found}
    done = plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", told=told)
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.count(" created (server dry run)") == len(found)


@pytest.mark.parametrize("name", CASES)
def test_the_namespace_lets_every_pod_in(plane: ControlPlane, namespace: str, tmp_path: Path, name: str):
    """Of a Deployment or a Job the level restricted only warns; so each pod is made as such, as controllers make them."""
    found = template(plane, tmp_path, CASES[name], "--set", "operator.service=intake", "--set-json", 'operator.command=["verify"]')
    pods = [_pod(what, spec, labels) for what, spec, labels in policies.pods(found)]
    assert len(pods) >= 2 * len(SERVICES) + 2, "the services, their migrations, a smoke test, an operator's command"
    accounts = [each for each in found if each["kind"] == "ServiceAccount"]
    made = plane.kubectl("apply", "-f", "-", told={"apiVersion": "v1", "kind": "List", "items": accounts})
    assert made.returncode == 0, made.stderr
    for pod in pods:
        done = plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", told=pod)
        assert (done.returncode, done.stderr) == (0, ""), pod["metadata"]["name"]
    plane.kubectl("delete", "-f", "-", told={"apiVersion": "v1", "kind": "List", "items": accounts})


def _pod(what: str, spec: Any, labels: dict[str, str]) -> dict[str, Any]:
    name = what.lower().replace(" ", "-").rstrip("-")[:60].rstrip("-")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": RELEASE, "labels": labels}, "spec": spec}


def test_it_would_keep_out_what_may_gain_rights(plane: ControlPlane, namespace: str, tmp_path: Path):
    """Else the two before show nothing."""
    found = template(plane, tmp_path, example("kind"))
    deployment = copy.deepcopy(next(each for each in found if each["kind"] == "Deployment"))
    del deployment["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]
    warned = plane.kubectl("create", "--dry-run=server", "-f", "-", told=deployment)
    assert 'Warning: would violate PodSecurity "restricted' in warned.stderr and "seccompProfile" in warned.stderr
    pod = _pod("spoiled", deployment["spec"]["template"]["spec"] | {"serviceAccountName": "default"}, {})
    refused = plane.kubectl("create", "--dry-run=server", "-f", "-", told=pod)
    assert refused.returncode == 1 and 'violates PodSecurity "restricted' in refused.stderr
    deployment["spec"]["replica"] = 3
    unknown = plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", told=deployment)
    assert 'unknown field "spec.replica"' in unknown.stderr


class Installed:
    """A release in a namespace of its own, whose pods all do what they should."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, values: dict[str, Any]) -> None:
        self.plane, self.namespace, self.folder, self.values = plane, namespace, folder, values

    def helm(self, command: str, *words: str) -> str:
        file = written(self.folder, self.values)
        more = (str(CHART), "--values", file, "--wait", "--timeout", "10m") if command in ("install", "upgrade") else ()
        done = self.plane.helm(command, RELEASE, *more, "--namespace", self.namespace, *words)
        assert done.returncode == 0, done.stderr + "\n".join(f"{each}" for each in sorted(self.plane.everything(self.namespace)))
        return done.stdout + done.stderr

    def all(self, kind: str) -> dict[str, Any]:
        return self.plane.all(kind, self.namespace)

    def pods_of(self, service: str) -> list[Any]:
        return [
            each
            for each in self.all("pods").values()
            if each["metadata"]["labels"]["app.kubernetes.io/component"] == service and "deletionTimestamp" not in each["metadata"]
        ]


@pytest.fixture(scope="module", params=("managed", "operators"))
def installed(request: pytest.FixtureRequest, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """By `helm install --wait`: Helm itself waits for the hooks and for every replica."""
    namespace = plane.add_namespace(f"{RELEASE}-{request.param}")
    release = Installed(plane, namespace, tmp_path_factory.mktemp(request.param), example(request.param))
    with Kubelet(plane, namespace).at_work():
        release.helm("install")
        yield release
        release.helm("uninstall", "--wait")
        _nothing_is_left(release)


def _nothing_is_left(release: Installed) -> None:
    """But what is to outlive it: the log, the databases, and for a day the hooks that somebody may want to read."""
    kept = {"kafkatopic", "cluster", "database"} if release.values["kafka"].get("managedBy") == "strimzi" else {"job", "pod"}

    def left() -> set[str]:
        return {each for each in release.plane.everything(release.namespace) if each.split("/")[0].split(".")[0] not in kept}

    # Helm's hooks are nobody's: `helm test` leaves its pod, which can be read until the next one.
    eventually(lambda: left() <= {"pod/redress-smoke-test"}, f"nothing else is left: {left()}")


def test_every_replica_is_ready_and_they_are_spread(installed: Installed):
    assert installed.all("deployments").keys() == {f"{RELEASE}-{service}" for service in SERVICES}

    def ready() -> bool:  # an autoscaler may just have asked for more
        found = installed.all("deployments").values()
        return all(each.get("status", {}).get("readyReplicas") == each["spec"]["replicas"] for each in found)

    eventually(ready, "each replica is ready")
    for service in SERVICES:
        zones = [NODES[pod["spec"]["nodeName"]] for pod in installed.pods_of(service)]
        if installed.values.get("defaults", {}).get("spread") == "DoNotSchedule":
            assert len(zones) >= 3 and set(zones) == set(NODES.values())


def test_a_budget_finds_its_pods_and_a_service_its_addresses(installed: Installed):
    for service in SERVICES:
        count = len(installed.pods_of(service))
        name = f"{RELEASE}-{service}"
        eventually(partial(_counts, installed, name, count), f"the budget of {service} counts its pods")
        eventually(partial(_leads_to_both_ports, installed, name), f"{service} has addresses for both ports")


def _leads_to_both_ports(installed: Installed, service: str) -> bool:
    found = installed.plane.kubectl(
        "get", "endpointslices", "-n", installed.namespace, "-l", f"kubernetes.io/service-name={service}", "-o", "json"
    )
    slices = [each for each in json.loads(found.stdout)["items"] if each.get("endpoints")]
    return {port["name"] for each in slices for port in each.get("ports") or ()} == {"http", "ops"}


def _counts(installed: Installed, budget: str, pods: int) -> bool:
    count: int = installed.all("poddisruptionbudgets")[budget].get("status", {}).get("expectedPods", 0)
    return count == pods


def test_migrations_ended_before_a_service_was_made_where_they_are_hooks(installed: Installed):
    jobs = installed.all("jobs")
    assert {name.rpartition("-")[0] for name in jobs} >= {f"{RELEASE}-migrate-{service}" for service in SERVICES}
    assert all(job["status"]["succeeded"] == 1 for job in jobs.values())
    if installed.values["kafka"].get("managedBy") != "strimzi":
        made = min(each["metadata"]["creationTimestamp"] for each in installed.all("deployments").values())
        assert max(job["status"]["completionTime"] for job in jobs.values()) <= made
        topics = next(job for name, job in jobs.items() if "-topics-" in name)
        assert all(job["metadata"]["creationTimestamp"] >= topics["status"]["completionTime"] for job in jobs.values() if job is not topics)


def test_an_upgrade_of_nothing_changes_nothing(installed: Installed):
    before = {name: each["metadata"]["generation"] for name, each in installed.all("deployments").items()}
    pods = installed.all("pods").keys()
    installed.helm("upgrade")
    assert {name: each["metadata"]["generation"] for name, each in installed.all("deployments").items()} == before
    assert {name for name in installed.all("pods") if "-migrate-" not in name and "-topics-" not in name} <= pods


def test_an_autoscaler_keeps_its_number_through_an_upgrade(installed: Installed):
    if installed.values["kafka"].get("managedBy") != "strimzi":
        pytest.skip("Nothing is scaled in this example.")
    assert installed.all("horizontalpodautoscalers").keys() == {f"{RELEASE}-intake"}
    scaled = installed.plane.kubectl("scale", "deployment", f"{RELEASE}-intake", "--replicas=4", "-n", installed.namespace)
    assert scaled.returncode == 0, scaled.stderr
    installed.helm("upgrade", "--set", "image.tag=0.1.1")
    assert installed.all("deployments")[f"{RELEASE}-intake"]["spec"]["replicas"] == 4


def test_one_service_is_held_back_and_then_follows(installed: Installed):
    installed.values = changed(installed.values, image={"registry": "registry.example.com/care"})
    before = set(installed.all("jobs"))

    def images() -> dict[str, set[str]]:
        return {service: {pod["spec"]["containers"][0]["image"] for pod in installed.pods_of(service)} for service in SERVICES}

    installed.helm("upgrade", "--set", "image.tag=0.2.0", "--set", "services.intake.tag=0.1.0")
    eventually(lambda: all(len(each) == 1 for each in images().values()), "the old pods are gone")
    assert images().pop("intake") == {"registry.example.com/care/redress/intake:0.1.0"}
    assert images()["triage"] == {"registry.example.com/care/redress/triage:0.2.0"}
    assert set(installed.all("jobs")) - before, "another image migrates anew"
    installed.helm("upgrade", "--set", "image.tag=0.2.0")
    eventually(lambda: images()["intake"] == {"registry.example.com/care/redress/intake:0.2.0"}, "intake follows")


def test_a_services_secret_is_asked_for_in_its_pods_alone(installed: Installed):
    for service in SERVICES:
        for pod in installed.pods_of(service):
            volumes = [each.get("secret", {}).get("secretName", "") for each in pod["spec"]["volumes"]]
            assert f"{RELEASE}-{service}-app" in volumes
            assert not [each for each in volumes if each.endswith("-owner")]
            assert not [each for each in pod["spec"]["volumes"] if "projected" in each], "no token of a service account"


def test_helm_test_is_a_pod_that_the_namespace_lets_in(installed: Installed):
    assert "Phase:          Succeeded" in installed.helm("test")
    assert "Phase:          Succeeded" in installed.helm("test"), "a second time"


def test_an_operators_command_is_made_as_often_as_wanted_and_is_no_part_of_a_release(installed: Installed, tmp_path: Path):
    told = ("--show-only", "templates/operator.yaml", "--set", "operator.service=triage", "--set-json", 'operator.command=["verify"]')
    (job,) = template(installed.plane, tmp_path, installed.values, *told, namespace=installed.namespace)
    for _ in range(2):
        made = installed.plane.kubectl("create", "--validate=strict", "-f", "-", told=job)
        assert (made.returncode, made.stderr) == (0, "")
    jobs = {name for name in installed.all("jobs") if name.startswith(f"{RELEASE}-operator-triage-")}
    assert len(jobs) == 2
    eventually(lambda: all(installed.all("jobs")[name].get("status", {}).get("succeeded") for name in jobs), "both have run")
    for name in jobs:
        installed.plane.kubectl("delete", "job", name, "-n", installed.namespace)
    with pytest.raises(AssertionError, match="take it out of the release's values"):
        installed.helm("upgrade", "--set", "operator.service=triage", "--set-json", 'operator.command=["verify"]')
