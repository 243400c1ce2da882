"""What an auditor asks of the rendered objects, each question a function that names the objects that fail it.

Long, for it is one list of questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from redress_chart.facts import facts
from redress_chart.rendering import Object
from redress_chassis.serving import GRACE

WORKLOADS = ("Deployment", "Job", "Pod")
VOLUMES = {"name", "secret", "configMap", "emptyDir", "ephemeral"}
SECCOMP = {"type": "RuntimeDefault"}
FORBIDDEN = ("Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "StatefulSet", "DaemonSet")
SECRET_LIKE = re.compile(r"password|token|secret|private", re.IGNORECASE)
OPEN_PATHS = ("ops", "metrics", "docs", "openapi.json", "health", "idle")
CALLED = ("SERVICES", "REDRESS_URL", "REDRESS_OPS_URL")  # variables that say where services are
Question = Callable[[list[Object]], Iterator[str]]
QUESTIONS: list[Question] = []


def asked(question: Question) -> Question:
    QUESTIONS.append(question)
    return question


def findings(found: list[Object]) -> list[str]:
    """What is wrong, each with the question that it fails; empty where nothing is."""
    return [f"{question.__name__}: {each}" for question in QUESTIONS for each in question(found)]


def name(each: Object) -> str:
    """A Job that is made by hand has the beginning of a name, and the API server gives it the rest."""
    metadata = each["metadata"]
    return f"{each['kind']} {metadata.get('name') or metadata['generateName']}"


def of(kind: str, found: list[Object]) -> list[Object]:
    return [each for each in found if each["kind"] == kind]


def pods(found: list[Object]) -> Iterator[tuple[str, Object, dict[str, str]]]:
    """Name, pod spec and labels of everything that runs."""
    for each in found:
        if each["kind"] in WORKLOADS:
            pod = each if each["kind"] == "Pod" else each["spec"]["template"]
            yield name(each), pod["spec"], pod["metadata"]["labels"]


def containers(found: list[Object]) -> Iterator[tuple[str, Object]]:
    for what, pod, _ in pods(found):
        yield from ((what, each) for each in (*pod["containers"], *pod.get("initContainers", ())))


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@asked
def pods_are_restricted(found: list[Object]) -> Iterator[str]:
    """The restricted level of the pod security standards."""
    for what, pod, _ in pods(found):
        security = pod.get("securityContext", {})
        known = security.get("runAsNonRoot") and security.get("runAsUser")
        if not known or security.get("seccompProfile") != SECCOMP:
            yield f"{what} may run as root, or without a seccomp profile"
        if any(pod.get(each) for each in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{what} shares the node's namespaces"
        if wrong := {kind for volume in pod.get("volumes", ()) for kind in volume} - VOLUMES:
            yield f"{what} has a volume of the kind {sorted(wrong)[0]}"
    for what, container in containers(found):
        security = container.get("securityContext", {})
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if not wanted.items() <= security.items() or security.get("privileged"):
            yield f"{what} may gain rights, or write to its image"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{what} takes a port of the node"


@asked
def pods_have_no_account(found: list[Object]) -> Iterator[str]:
    for what, pod, _ in pods(found):
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{what} has a token"
    for each in of("ServiceAccount", found):
        if each.get("automountServiceAccountToken") is not False:
            yield f"{name(each)} has a token"


@asked
def the_chart_holds_no_secret_and_gives_no_rights(found: list[Object]) -> Iterator[str]:
    yield from (name(each) for each in found if each["kind"] in FORBIDDEN)
    for what, container in containers(found):
        for variable in container.get("env", ()):
            harmless = variable.get("value", "/").startswith(("/", "https://")) or variable["name"].endswith("_SCOPE")
            if SECRET_LIKE.search(variable["name"]) and not harmless:
                yield f"{what} is told {variable['name']} in clear"
            if re.search(r"://[^/@$]*:(?!\$\()[^/@]*@", variable.get("value", "")):
                yield f"{what} has a password in the address {variable['name']}"


@asked
def each_mounts_what_it_needs_alone(found: list[Object]) -> Iterator[str]:
    """No service sees a secret of another, nor an owner's password; jobs see one owner's, and the master key where a rebuild needs it."""
    rows = {each["name"]: each for each in facts()["services"]}
    for what, pod, labels in pods(found):
        component, release = labels["app.kubernetes.io/component"], labels["app.kubernetes.io/instance"]
        job = re.search(rf"Job {release}-(?:migrate-)?(.+)-[0-9a-f]{{8}}$", what)
        by_hand = re.search(rf"Job {release}-operator-(.+)-$", what)
        subject = job[1] if job else by_hand[1] if by_hand else component
        mine = {f"{release}-{subject}-{'owner' if job else 'app'}", f"{release}-{'setup' if subject == 'topics' else subject}-kafka"}
        if by_hand:  # whoever makes it says whether it needs the owner
            mine = {f"{release}-{subject}-app", f"{release}-{subject}-owner", f"{release}-tools-kafka"}
        elif component in rows:
            mine.add(f"{release}-{component}-tls")
        for secret in secrets_of(pod):
            of_service = re.fullmatch(rf"{release}-(.+)-(app|owner|kafka|tls)", secret)
            if of_service and secret not in mine:
                yield f"{what} sees {secret}"
            needs_master = component in rows or by_hand or rows.get(subject, {}).get("found_by_personal_values")
            if secret == f"{release}-master-key" and not needs_master:
                yield f"{what} sees the master key"
            if secret == f"{release}-mac-keys" and component not in rows and subject not in rows:
                yield f"{what} sees the keys by which records prove their source"
        for volume in pod.get("volumes", ()):
            # Whoever reads the log needs all of the MAC keys, and sees a new one without a start; so it is with what settings name.
            of_identity = volume["name"] == "identity" and component in rows
            whole_is_right = of_identity or ("secret" in volume and volume["secret"]["secretName"] == f"{release}-mac-keys")
            if "secret" in volume and not volume["secret"].get("items") and not whole_is_right:
                yield f"{what} mounts {volume['secret']['secretName']} whole"
            if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & 0o007:
                yield f"{what} lets everybody in the pod read {volume['secret']['secretName']}"


def secrets_of(pod: Object) -> set[str]:
    """Names of the secrets that a pod mounts or is told from."""
    variables = [variable for container in pod["containers"] for variable in container.get("env", ())]
    told = {each["valueFrom"]["secretKeyRef"]["name"] for each in variables if "valueFrom" in each}
    return told | {volume["secret"]["secretName"] for volume in pod.get("volumes", ()) if "secret" in volume}


@asked
def pods_have_bounds(found: list[Object]) -> Iterator[str]:
    for what, container in containers(found):
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            yield f"{what} does not say what it takes"
    for what, pod, _ in pods(found):
        for volume in pod.get("volumes", ()):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{what} may fill the node's disk by {volume['name']}"
            takes = pod["containers"][0]["resources"]["requests"]
            if volume["name"] == "spool" and "emptyDir" in volume and "ephemeral-storage" not in takes:
                yield f"{what} may come to a node that has no room for its spool"


@asked
def services_stop_and_start_as_they_mean_it(found: list[Object]) -> Iterator[str]:
    for each in of("Deployment", found):
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
        if probes != {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}:
            yield f"{name(each)} is probed by {probes}"
        asleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        if pod["terminationGracePeriodSeconds"] < asleep + GRACE + 10:
            yield f"{name(each)} is killed before its requests have ended"
        if each["spec"]["strategy"] != {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}:
            yield f"{name(each)} has fewer processes while it is changed"


@asked
def services_survive_a_node(found: list[Object]) -> Iterator[str]:
    budgets = [each["spec"]["selector"]["matchLabels"] for each in of("PodDisruptionBudget", found)]
    for each in of("Deployment", found):
        template = each["spec"]["template"]
        if sum(matches(selector, template["metadata"]["labels"]) for selector in budgets) != 1:
            yield f"{name(each)} has no budget, or several"
        spread = template["spec"]["topologySpreadConstraints"]
        if {constraint["topologyKey"] for constraint in spread} != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            yield f"{name(each)} is not spread"
        if not all(matches(constraint["labelSelector"]["matchLabels"], template["metadata"]["labels"]) for constraint in spread):
            yield f"{name(each)} is spread by other labels than its own"


@asked
def an_autoscaler_owns_the_number_alone(found: list[Object]) -> Iterator[str]:
    scaled = {each["spec"]["scaleTargetRef"]["name"] for kind in ("HorizontalPodAutoscaler", "ScaledObject") for each in of(kind, found)}
    for each in of("Deployment", found):
        if (each["metadata"]["name"] in scaled) == ("replicas" in each["spec"]):
            yield f"{name(each)} is told how many by two, or by nobody"


@asked
def selectors_find_their_pods(found: list[Object]) -> Iterator[str]:
    labels = [each for _, _, each in pods(found)]
    releases = {(each["app.kubernetes.io/name"], each["app.kubernetes.io/instance"]) for each in labels}
    # Pods that come later: of Jobs that are made by hand, and of whom an operator runs.
    names = ("app.kubernetes.io/name", "app.kubernetes.io/instance")
    labels += [dict(zip(names, each, strict=True)) | {"app.kubernetes.io/component": "operator"} for each in releases]
    labels += [{"cnpg.io/cluster": each["metadata"]["name"]} for each in of("Cluster", found)]
    for each in found:
        match each["kind"]:
            case "Service":
                selector = each["spec"]["selector"]
            case "PodDisruptionBudget" | "NetworkPolicy":
                selector = each["spec"].get("selector", each["spec"].get("podSelector"))["matchLabels"]
            case _:
                continue
        if not any(matches(selector, one) for one in labels):
            yield f"{name(each)} finds no pod"


@asked
def nobody_talks_to_everybody(found: list[Object]) -> Iterator[str]:
    """Every pod is denied all first; no rule is open to all, and pods that nobody calls let nobody in."""
    policies = of("NetworkPolicy", found)
    if not policies:
        yield "there is no NetworkPolicy"
    for what, _, labels in pods(found):
        here = [each["spec"] for each in policies if matches(each["spec"]["podSelector"]["matchLabels"], labels)]
        whole = [each for each in here if not each.get("ingress") and not each.get("egress")]
        if not any(set(each["policyTypes"]) == {"Ingress", "Egress"} for each in whole):
            yield f"{what} is not denied first"
        if labels["app.kubernetes.io/component"] in ("setup", "smoke-test", "operator") and any(each.get("ingress") for each in here):
            yield f"{what} lets callers in"
    for each in policies:
        for way in ("from", "to"):
            for rule in each["spec"].get("ingress" if way == "from" else "egress", ()):
                if not rule.get(way) or not rule.get("ports") or {} in rule[way]:
                    yield f"{name(each)} has a rule for everybody, or for every port"


@asked
def jobs_reach_kafka_and_postgres_alone(found: list[Object]) -> Iterator[str]:
    """And names, who gives tokens for Kafka, and Vault, where there are some."""
    told = {variable["name"] for _, container in containers(found) for variable in container.get("env", ())}
    wanted = 3 + len(told & {"REDRESS_KAFKA_TOKEN_URL", "REDRESS_VAULT_URL"})
    for each in of("NetworkPolicy", found):
        component = each["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        if component == "setup" and len(each["spec"]["egress"]) != wanted:
            yield f"{name(each)} lets jobs reach more than names, Kafka and PostgreSQL"


@asked
def databases_of_the_chart_are_reached_by_who_must(found: list[Object]) -> Iterator[str]:
    """A server that an operator makes for us is as open as its network says."""
    for each in of("Cluster", found):
        wanted = {"cnpg.io/cluster": each["metadata"]["name"]}
        policies = [one["spec"] for one in of("NetworkPolicy", found) if one["spec"]["podSelector"]["matchLabels"] == wanted]
        if not of("NetworkPolicy", found):
            continue
        if not policies or not all(rule.get("from") for one in policies for rule in one.get("ingress", ())):
            yield f"{name(each)} lets in whoever is in the cluster"


@asked
def who_speaks_tls_is_asked_by_tls(found: list[Object]) -> Iterator[str]:
    """By its probes, its routes, who tests it, and who measures it, who compare its name."""
    speaks = False
    for each in of("Deployment", found):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        speaks = any(variable["name"] == "REDRESS_TLS_CERT_FILE" for variable in container["env"])
        wanted = "HTTPS" if speaks else "HTTP"
        if {container[f"{kind}Probe"]["httpGet"].get("scheme") for kind in ("startup", "liveness", "readiness")} != {wanted}:
            yield f"{name(each)} is not probed by {wanted}"
    scheme = "https" if speaks else "http"
    for each in of("Service", found):
        if {port["appProtocol"] for port in each["spec"]["ports"]} != {scheme}:
            yield f"{name(each)} does not say {scheme}"
    for what, container in containers(found):
        told = " ".join(variable.get("value", "") for variable in container.get("env", ()) if variable["name"] in CALLED)
        if re.search(rf"\b{'http' if speaks else 'https'}://", told):
            yield f"{what} asks services by something else than {scheme}"
    for each in of("ServiceMonitor", found) if speaks else ():
        if not all(endpoint.get("scheme") == "https" and endpoint["tlsConfig"]["serverName"] for endpoint in each["spec"]["endpoints"]):
            yield f"{name(each)} trusts whoever answers"
    routed = {target["name"] for each in of("BackendTLSPolicy", found) for target in each["spec"]["targetRefs"]}
    for each in of("HTTPRoute", found) if speaks else ():
        if {backend["name"] for rule in each["spec"]["rules"] for backend in rule["backendRefs"]} - routed:
            yield f"{name(each)} leads to who speaks TLS, and the gateway does not"


@asked
def pods_have_an_account_of_their_own(found: list[Object]) -> Iterator[str]:
    """Whoever gives rights to the namespace's default account gives none to us."""
    there = {each["metadata"]["name"] for each in of("ServiceAccount", found)}
    for what, pod, _ in pods(found):
        if pod.get("serviceAccountName", "default") not in there:
            yield f"{what} runs as {pod.get('serviceAccountName', 'default')}"


@asked
def callers_from_outside_reach_operations_alone(found: list[Object]) -> Iterator[str]:
    inner = re.compile(rf"/({'|'.join(map(re.escape, OPEN_PATHS))})(/|$|\|)")
    for each in of("HTTPRoute", found):
        for rule in each["spec"]["rules"]:
            (match,), (rewrite,) = rule["matches"], rule["filters"]
            before, after = match["path"]["value"], rewrite["urlRewrite"]["path"]["replacePrefixMatch"]
            if after == "/" or inner.search(after) or not before.endswith(after):
                yield f"{name(each)} leads {before} to {after}"
    for each in of("Ingress", found):
        if not each["spec"].get("tls"):
            yield f"{name(each)} has no certificate"
        for rule in each["spec"]["rules"]:
            yield from (f"{name(each)} leads to {path['path']}" for path in rule["http"]["paths"] if inner.search(path["path"]))


@asked
def the_port_for_operations_is_not_the_callers(found: list[Object]) -> Iterator[str]:
    """Metrics, documents and /ops; who may reach one port may not reach the other."""
    ops, rows = facts()["container"]["ops_port"], {each["name"] for each in facts()["services"]}
    for each in of("Deployment", found):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        told = {variable["name"]: variable.get("value") for variable in container["env"]}
        if told.get("REDRESS_OPS_PORT") != str(ops) or ops not in {port["containerPort"] for port in container["ports"]}:
            yield f"{name(each)} has no port for operations"
    for each in of("NetworkPolicy", found):
        rules = each["spec"].get("ingress", ()) if each["metadata"]["labels"]["app.kubernetes.io/component"] in rows else ()
        for rule in rules:
            if len(rule["ports"]) != 1:
                yield f"{name(each)} lets the same callers to several ports"
    for each in of("ServiceMonitor", found):
        yield from (f"{name(each)} asks callers' port" for endpoint in each["spec"]["endpoints"] if endpoint["port"] != "ops")


@asked
def connections_are_secured(found: list[Object]) -> Iterator[str]:
    for what, container in containers(found):
        told: dict[str, Any] = {variable["name"]: variable.get("value") for variable in container.get("env", ())}
        for variable in ("REDRESS_DATABASE_URL", "REDRESS_OWNER_URL"):
            if variable in told and not re.search(r"\?sslmode=verify-full&sslrootcert=/", told[variable]):
                yield f"{what} reaches PostgreSQL without knowing whom"
        if "REDRESS_KAFKA" in told and told["REDRESS_KAFKA_SECURITY"] not in ("SASL_SSL", "SSL"):
            yield f"{what} reaches Kafka in clear"
        if "REDRESS_PROFILE" in told and told["REDRESS_PROFILE"] != "production":
            yield f"{what} is told the profile {told['REDRESS_PROFILE']}"
        if not (told.get("REDRESS_JWKS") or "https://").startswith("https://"):
            yield f"{what} fetches the issuer's keys in clear"


@asked
def users_of_kafka_have_the_rights_of_the_table(found: list[Object]) -> Iterator[str]:
    told_of = facts()
    rows = {each["name"]: each["rights"] for each in (*told_of["services"], *told_of["users"])}
    for each in of("KafkaUser", found):
        acls = each["spec"]["authorization"]["acls"]
        told = [{"resource": one["resource"]["type"], "name": one["resource"]["name"], "operations": one["operations"]} for one in acls]
        if told != rows.get(each["metadata"]["labels"]["app.kubernetes.io/component"]):
            yield f"{name(each)} may do something else than the table says"


@asked
def what_is_kept_for_ever_does_not_go_with_the_chart(found: list[Object]) -> Iterator[str]:
    for each in (one for kind in ("KafkaTopic", "Cluster", "Database") for one in of(kind, found)):
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") != "keep":
            yield f"{name(each)} is deleted with the release"


@asked
def images_have_a_version(found: list[Object]) -> Iterator[str]:
    for what, container in containers(found):
        if not re.search(r"(:(?!latest$)[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})$", container["image"]):
            yield f"{what} runs {container['image']}"


@asked
def objects_say_where_and_whose_they_are(found: list[Object]) -> Iterator[str]:
    wanted = {f"app.kubernetes.io/{each}" for each in ("name", "instance", "component", "version", "managed-by")}
    for each in found:
        if not each["metadata"].get("namespace"):
            yield f"{name(each)} is in no namespace"
        if not wanted <= each["metadata"].get("labels", {}).keys():
            yield f"{name(each)} lacks a label"
