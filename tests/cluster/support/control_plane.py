"""A Kubernetes without machines: etcd, the API server, the controllers and the scheduler, here, of what `make test-cluster` built.

Everything that is asked of it is decided as in any cluster: admission, defaults, names, what becomes of a Deployment or a Job.
Nothing runs: there are nodes that exist on paper alone, and no kubelet. `Kubelet` here says of each pod that it does what it should.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from redress_local.places import free_ports
from redress_local.processes import Child, start_child

WAIT = 300.0  # seconds for whatever must come; a machine may be ten times slower than another
ZONES = ("a", "b", "c")
FAST = "fast"  # the class of volumes that an example names
VOLUMES = 60
NODES = {f"node-{zone}-{n}": zone for zone in ZONES for n in (1, 2)}
Object = dict[str, Any]


def eventually(check: Callable[[], Any], what: str, limit: float = WAIT) -> Any:
    """The first answer that counts as true."""
    end = time.monotonic() + limit
    while not (found := check()):
        assert time.monotonic() < end, f"Not in time: {what}."
        time.sleep(0.2)
    return found


class ControlPlane:
    """programs: the folder that was built. What it writes is in `folder`."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self._children: list[Child] = []
        self._token = secrets.token_urlsafe(24)
        etcd, peer, self._port, controllers, scheduler = free_ports(5)
        self._etcd = f"http://127.0.0.1:{etcd}"
        self._peer = f"http://127.0.0.1:{peer}"
        self._ports = {"kube-controller-manager": controllers, "kube-scheduler": scheduler}
        self.url = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = folder / "kubeconfig"

    def start(self) -> None:
        """Returns when it answers, its namespace `default` is there and so are the nodes."""
        for name in ("etcd", "certificates", "home"):
            (self.folder / name).mkdir(parents=True)
        signing, verifying = self._keys()
        (self.folder / "tokens").write_text(f'{self._token},tester,tester,"system:masters"\n')
        self._launch(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={self._peer}",
            f"--initial-advertise-peer-urls={self._peer}",
            f"--initial-cluster=default={self._peer}",
            "--unsafe-no-fsync",
        )
        self._launch(
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # no pod asks for it
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={verifying}",
            f"--service-account-signing-key-file={signing}",
            f"--token-auth-file={self.folder / 'tokens'}",
            "--authorization-mode=RBAC",
        )
        authority = self.folder / "certificates/apiserver.crt"
        self.until(authority.is_file, "the API server has made its certificate")
        self._write_kubeconfig(authority)
        self.http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self._token}"}, verify=_trusting(authority), timeout=60, trust_env=False
        )
        self.until(self._answers, "the API server is ready")
        self._launch(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={signing}",
            f"--root-ca-file={authority}",
            "--use-service-account-credentials=true",
            "--controllers=*,-node-lifecycle-controller",  # nobody renews the leases of nodes on paper
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports['kube-controller-manager']}",
            f"--cert-dir={self.folder / 'certificates'}",
        )
        self._launch(
            "kube-scheduler",
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports['kube-scheduler']}",
            f"--cert-dir={self.folder / 'certificates'}",
        )
        self.until(lambda: self.http.get("/api/v1/namespaces/default/serviceaccounts/default").status_code == 200, "controllers work")
        for name, zone in NODES.items():
            self._add_node(name, zone)
        self._add_volumes()

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stop(5.0)
        if hasattr(self, "http"):
            self.http.close()

    def until(self, check: Callable[[], Any], what: str) -> Any:
        """As `eventually`; ends with a program's log where it ended."""

        def checked() -> Any:
            for child in self._children:
                if not child.alive:
                    raise child.failed("ended")
            return check()

        return eventually(checked, what)

    def kubectl(self, *words: str, told: object = None) -> subprocess.CompletedProcess[str]:
        """told: what it reads as JSON for `-f -`."""
        return self.run("kubectl", *words, told=None if told is None else json.dumps(told))

    def helm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("helm", *words)

    def run(self, program: str, *words: str, told: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder / "home")}
        for variable in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
            environment.pop(variable, None)
        return subprocess.run(
            [self.programs / "bin" / program, *words], input=told, env=environment, capture_output=True, text=True, check=False, timeout=900
        )

    def all(self, kind: str, namespace: str) -> dict[str, Object]:
        """By name. kind: as kubectl names it."""
        done = self.kubectl("get", kind, "--namespace", namespace, "--output", "json")
        assert done.returncode == 0, done.stderr
        return {each["metadata"]["name"]: each for each in json.loads(done.stdout)["items"]}

    def everything(self, namespace: str) -> set[str]:
        """Kind and name of all that is in a namespace, whatever it is, but what the cluster itself puts there."""
        listed = self.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").stdout.split()
        kinds = ",".join(each for each in listed if not each.startswith("events"))
        done = self.kubectl("get", kinds, "--namespace", namespace, "--output=name", "--ignore-not-found")
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split()) - {"serviceaccount/default", "configmap/kube-root-ca.crt"}

    def add_namespace(self, name: str) -> str:
        """One that lets pods in of the level restricted alone."""
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
        made = self.http.post("/api/v1/namespaces", json={"metadata": {"name": name, "labels": labels}})
        assert made.status_code == 201, made.text
        self.until(lambda: self.http.get(f"/api/v1/namespaces/{name}/serviceaccounts/default").status_code == 200, f"{name} is there")
        return name

    def _launch(self, program: str, *flags: str) -> None:
        log = self.folder / f"{program}.log"
        self._children.append(start_child(program, [self.programs / "bin" / program, *flags], log, foreground=True))

    def _answers(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _keys(self) -> tuple[Path, Path]:
        """By which tokens of service accounts are signed, and compared."""
        key = rsa.generate_private_key(65537, 2048)
        signing, verifying = self.folder / "accounts.key", self.folder / "accounts.pub"
        signing.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        signing.chmod(0o600)
        verifying.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return signing, verifying

    def _write_kubeconfig(self, authority: Path) -> None:
        cluster = {"server": self.url, "certificate-authority": str(authority)}
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "tester", "user": {"token": self._token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "tester"}}],
            "current-context": "here",
        }
        self.kubeconfig.write_text(json.dumps(told))
        self.kubeconfig.chmod(0o600)

    def _add_node(self, name: str, zone: str) -> None:
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
        room = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "2Ti"}
        status = {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
        made = self.http.post("/api/v1/nodes", json={"metadata": {"name": name, "labels": labels}, "status": status})
        assert made.status_code == 201, made.text
        patched = self.http.patch(
            f"/api/v1/nodes/{name}", json={"spec": {"taints": None}}, headers={"content-type": "application/merge-patch+json"}
        )
        assert patched.status_code == 200, patched.text

    def _add_volumes(self) -> None:
        """Nobody makes one on demand here, so there are as many as all tests take."""
        kind = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
        made = self.http.post("/apis/storage.k8s.io/v1/storageclasses", json={"metadata": {"name": FAST}, **kind})
        assert made.status_code == 201, made.text
        spec = {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": FAST,
            "hostPath": {"path": "/nowhere"},
        }
        for n in range(VOLUMES):
            made = self.http.post("/api/v1/persistentvolumes", json={"metadata": {"name": f"volume-{n}"}, "spec": spec})
            assert made.status_code == 201, made.text


def _trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


class Kubelet:
    """Says of each pod that has a node what a kubelet would: one of a Job has done its work, another one is ready. Nothing is run."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kubelet", daemon=True)
        self._seen = 0
        self.failures: list[str] = []

    @contextmanager
    def at_work(self) -> Iterator[Kubelet]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join()
        assert self.failures == []

    def _work(self) -> None:
        while not self._over.wait(0.2):
            try:
                for pod in self._plane.http.get(self._pods).json()["items"]:
                    self._see_to(pod)
            except (httpx.HTTPError, KeyError, ValueError) as error:
                self.failures.append(repr(error))

    def _see_to(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            self._plane.http.request("DELETE", f"{self._pods}/{name}", json={"gracePeriodSeconds": 0})
            return
        if pod["status"]["phase"] != "Pending" or not pod["spec"].get("nodeName"):
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ends = pod["spec"]["restartPolicy"] == "Never"
        state = {"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}} if ends else {"running": {"startedAt": now}}
        seen = [
            {"name": each["name"], "image": each["image"], "imageID": "", "ready": not ends, "restartCount": 0, "state": state}
            for each in pod["spec"]["containers"]
        ]
        self._seen += 1
        address = f"10.1.{self._seen // 250}.{self._seen % 250 + 1}"
        ready = "False" if ends else "True"
        conditions = [{"type": kind, "status": ready, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")]
        phase = "Succeeded" if ends else "Running"
        status = {"phase": phase, "startTime": now, "conditions": conditions, "containerStatuses": seen, "podIP": address}
        status["podIPs"] = [{"ip": address}]
        self._plane.http.patch(
            f"{self._pods}/{name}/status", json={"status": status}, headers={"content-type": "application/strategic-merge-patch+json"}
        )
