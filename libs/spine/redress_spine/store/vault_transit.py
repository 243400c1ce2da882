"""Master keys that HashiCorp Vault seals: its transit engine over HTTP, which encrypts and decrypts under a key that never leaves it.

The files of the master keys hold what Vault returned (`vault:v1:…`). A process asks it once for each file, and has the key in memory from
then on: Vault may be away meanwhile, and nobody waits for it in a command. https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from redress_spine.processing.clock import monotonic
from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.master_keys import MasterKeyUnusable

TIMEOUT = 5.0  # seconds for Vault to answer
RENEW_AT = 0.5  # of a token's life: then it is renewed
AGAIN = 10.0  # seconds between two tries to renew it
SHORT = 60.0  # seconds that a token must have left that cannot be renewed, before somebody is told
NEW_TOKEN = "Write a new one to the file of REDRESS_VAULT_TOKEN_FILE; it is read without a restart."


class VaultTransit:
    """url: of Vault, without a path. key: of the transit engine, which is mounted at `mount`. token_file: read again when it changes, as
    an agent may write it. namespace: of Vault Enterprise. ca_file: certificates that sign Vault's, beside those that the machine trusts."""

    def __init__(
        self,
        url: str,
        key: str,
        token_file: Path,
        *,
        mount: str = "transit",
        namespace: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._mount = mount.strip("/")
        self._token_file = token_file
        self._namespace = namespace
        self._ca_file = ca_file
        self._token = ""
        self._known = self._renewable = False  # of the token: whether Vault has said how long it lives, and whether it can be renewed
        self._renew_at = self._ends_at = float("-inf")  # by the monotonic clock
        self._flaw = ""

    @property
    def key_id(self) -> str:
        return f"{self._mount}/{self._key}"

    async def wrap(self, key: bytes) -> bytes:
        said = await self._ask("POST", f"{self._mount}/encrypt/{self._key}", {"plaintext": b64encode(key).decode()})
        return _text(said, "ciphertext").encode()

    async def unwrap(self, blob: bytes) -> bytes:
        said = await self._ask("POST", f"{self._mount}/decrypt/{self._key}", {"ciphertext": _ascii(blob)})
        try:
            return b64decode(_text(said, "plaintext"), validate=True)
        except ValueError:
            raise MasterKeyAway("What Vault says it decrypted is not base64.") from None

    async def renewed(self, blob: bytes) -> bytes:
        said = await self._ask("POST", f"{self._mount}/rewrap/{self._key}", {"ciphertext": _ascii(blob)})
        return _text(said, "ciphertext").encode()

    async def keep(self) -> None:
        """Renew the token when half of its life is over. What is wrong is raised again until it is right."""
        if (token := self._read_token()) != self._token:
            self._token, self._known, self._renew_at = token, False, float("-inf")
        if monotonic() >= self._renew_at:
            self._renew_at, self._flaw = monotonic() + AGAIN, ""
            try:
                await self._renew()
            except MasterKeyAway as error:
                self._flaw = str(error)
        if self._flaw:
            raise MasterKeyAway(self._flaw)

    async def _renew(self) -> None:
        if not self._known:
            said = await self._ask("GET", "auth/token/lookup-self", None)
            self._lives(said.get("ttl"), said.get("renewable"))
            self._known = True
        elif self._renewable:
            said = await self._ask("POST", "auth/token/renew-self", {}, within="auth")
            self._lives(said.get("lease_duration"), said.get("renewable"))
        if self._ends_at - monotonic() < SHORT:
            raise MasterKeyAway(f"The token for Vault ends within {SHORT:.0f} s, and is not renewed for longer. {NEW_TOKEN}")

    def _lives(self, seconds: object, renewable: object) -> None:
        """A token without an end has 0 seconds."""
        life = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else float("inf")
        self._renewable = renewable is True
        self._ends_at = monotonic() + life
        self._renew_at = monotonic() + max(AGAIN, life * RENEW_AT if self._renewable else life - SHORT)

    def _read_token(self) -> str:
        try:
            token = self._token_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise MasterKeyAway(f"The file of Vault's token cannot be read: {why}. See REDRESS_VAULT_TOKEN_FILE.") from None
        if not token:
            raise MasterKeyAway("The file of Vault's token is empty. See REDRESS_VAULT_TOKEN_FILE.")
        return token

    async def _ask(self, method: str, path: str, body: dict[str, str] | None, within: str = "data") -> dict[str, Any]:
        import httpx  # here: whose master keys are plain files needs no client in memory

        headers = {"X-Vault-Token": self._read_token(), "X-Vault-Request": "true"}
        if self._namespace is not None:
            headers["X-Vault-Namespace"] = self._namespace
        try:
            verify = ssl.create_default_context(cafile=self._ca_file) if self._ca_file is not None else True
            async with httpx.AsyncClient(timeout=TIMEOUT, verify=verify) as client:
                answer = await client.request(method, f"{self._url}/v1/{path}", json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise MasterKeyAway(f"Vault does not answer: {type(error).__name__}. See REDRESS_VAULT_URL.") from None
        if answer.is_success:
            try:
                found = answer.json()[within]
            except (ValueError, KeyError, TypeError):
                found = None
            if isinstance(found, dict):
                return found
            raise MasterKeyAway("What answers at REDRESS_VAULT_URL is not Vault.")
        raise self._refused(answer.status_code, path)

    def _refused(self, status: int, path: str) -> Exception:
        if status == 403:
            return MasterKeyAway(f"Vault refuses the token for {path} (403): it has ended, or its policy lacks that path. {NEW_TOKEN}")
        if status == 404:
            return MasterKeyAway(f"Vault has nothing at {path} (404). See REDRESS_VAULT_MOUNT, REDRESS_VAULT_KEY, REDRESS_VAULT_NAMESPACE.")
        if status == 400 and not path.startswith("auth/"):
            return MasterKeyUnusable(f"Vault does not take it for {path} (400): another key sealed the file, or an old version.")
        if status == 503:
            return MasterKeyAway("Vault is sealed, or under maintenance (503): unseal it. Until then no master key is opened.")
        return MasterKeyAway(f"Vault answers {status} to {path}.")


def _ascii(blob: bytes) -> str:
    return blob.decode("ascii", "replace").strip()


def _text(said: dict[str, Any], name: str) -> str:
    if isinstance(found := said.get(name), str):
        return found
    raise MasterKeyAway(f"Vault's answer has no {name}.")
