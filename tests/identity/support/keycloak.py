"""A real Keycloak on this machine, from what `make test-identity` fetches, and those who get their tokens there."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from redress_local.places import free_ports
from redress_local.processes import Child, StartFailed, start_child

REALM = Path(__file__).resolve().parent.parent / "realm.json"
NAME = "care"
ADMIN = "admin"
START_SECONDS = 240.0
JWKS_MAX_AGE = 20  # seconds for which the services of the tests trust its keys without a word of it: in production an hour


class Keycloak:
    """One server with its data in `folder`, and the realm of the tests. Started again it has the same address, users and keys.

    distribution: the unpacked one; it writes into its own folder, so a copy is used."""

    def __init__(self, distribution: Path, folder: Path) -> None:
        self.folder = folder
        self.port, self._management = free_ports(2)
        self._child: Child | None = None
        self._http = httpx.Client(timeout=30, trust_env=False)
        self._password = uuid.uuid4().hex
        shutil.copytree(distribution, folder / "keycloak")
        imported = folder / "keycloak" / "data" / "import"
        imported.mkdir(parents=True)
        shutil.copy(REALM, imported)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/{NAME}"

    @property
    def jwks(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/certs"

    @property
    def introspection(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/token/introspect"

    def start(self) -> None:
        """Come up and answer. Raises StartFailed with the end of the log."""
        script = self.folder / "keycloak" / "bin" / "kc.sh"
        line = ["sh", str(script), "start-dev", "--http-host", "127.0.0.1", "--http-port", str(self.port)]
        line += ["--http-management-port", str(self._management), "--import-realm"]
        told = {
            "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
            "KC_BOOTSTRAP_ADMIN_PASSWORD": self._password,
            "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
        }
        # The script stands between us and Java, and passes on what it is asked to end by.
        self._child = start_child("keycloak", line, self.folder / "keycloak.log", foreground=True, environment=told, death_signal="TERM")
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._child.alive:
                raise self._child.failed("ended at its start")
            if time.monotonic() > end:
                raise self._child.failed(f"did not answer within {START_SECONDS:.0f} s")
            time.sleep(0.2)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(30.0)
            self._child = None

    # -- tokens

    def of_client(self, client: str, secret: str) -> dict[str, str]:
        """What a program gets for itself."""
        return self._token(grant_type="client_credentials", client_id=client, client_secret=secret)

    def of_user(self, user: str, client: str = "desk", **more: str) -> dict[str, str]:
        """What a person gets who signs in; their password is the test's."""
        password = f"of-{user.replace('.', '-')}"
        return self._token(grant_type="password", client_id=client, username=user, password=password, scope="openid", **more)

    def revoke(self, token: str) -> None:
        answer = self._http.post(f"{self.issuer}/protocol/openid-connect/revoke", data={"token": token, "client_id": "desk"})
        answer.raise_for_status()

    # -- keys

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is still published."""
        realm = self._admin("GET", "").json()["id"]
        config = {
            "priority": [str(1000 + int(time.time()))],
            "enabled": ["true"],
            "active": ["true"],
            "keySize": ["2048"],
            "algorithm": ["RS256"],
        }
        key = {"name": f"rsa-{uuid.uuid4().hex[:8]}", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider"}
        self._admin("POST", "/components", {**key, "parentId": realm, "config": config})

    def withdraw_old_keys(self) -> None:
        """Publish the key alone that signs now."""
        found = self._admin("GET", "/components?type=org.keycloak.keys.KeyProvider").json()
        signing = sorted((each for each in found if each["providerId"] == "rsa-generated"), key=_priority)
        for each in signing[:-1]:
            self._admin("DELETE", f"/components/{each['id']}")

    def _admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        token = self._token("master", grant_type="password", client_id="admin-cli", username=ADMIN, password=self._password)["access_token"]
        url = f"http://127.0.0.1:{self.port}/admin/realms/{NAME}{path}"
        answer = self._http.request(method, url, json=body, headers={"authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer

    def _token(self, realm: str = NAME, **form: str) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}/realms/{realm}/protocol/openid-connect/token"
        answer = self._http.post(url, data=form)
        assert answer.status_code == 200, f"{form['client_id']} gets no token: {answer.status_code} {answer.text}"
        tokens: dict[str, str] = answer.json()
        return tokens

    def _answers(self) -> bool:
        try:
            return self._http.get(f"{self.issuer}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False


def _priority(component: dict[str, Any]) -> int:
    return int(component["config"].get("priority", ["0"])[0])


def distribution_in(folder: Path) -> Path:
    """The unpacked distribution. Raises StartFailed."""
    for script in folder.glob("keycloak-*/bin/kc.sh"):
        return script.parent.parent
    raise StartFailed(f"There is no Keycloak in {folder}. Run: make test-identity")
