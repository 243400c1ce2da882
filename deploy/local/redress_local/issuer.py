"""A development issuer: an ES256 key, its JWKS, tokens for every role, the master key and the MAC keys. For the local stack only."""

from __future__ import annotations

import json
import os
import secrets
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from redress_local.places import SERVICES
from redress_spine.messaging.mac import make_keys
from redress_spine.store.keyring import Keyring
from redress_spine.store.master_keys import files_of

ISSUER = "https://issuer.redress.localhost"
AUDIENCE = "redress"


class Issuer:
    """Keys in `folder`, made when missing: `issuer.json` (private), `jwks.json` (public), `master.key` (32 bytes; not where a later master
    key is, for then it was exchanged and taken away), and in `mac` those by which each service's records prove their source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = folder / "issuer.json"
        self.jwks = folder / "jwks.json"
        self.master_key = folder / "master.key"
        self.mac_keys = folder / "mac"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.private.exists():
            key = ECKey.generate_key("P-256", parameters={"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"})
            _write_secret(self.private, json.dumps(key.as_dict(private=True)).encode())
            self.jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
        if not files_of(self.master_key):
            _write_secret(self.master_key, secrets.token_bytes(32))
        make_keys(self.mac_keys, SERVICES)

    def master_keys(self) -> Keyring:
        """All that are there."""
        return Keyring({number: path.read_bytes() for number, path in files_of(self.master_key).items()})

    def mint(
        self,
        role: str | Iterable[str],
        subject: str,
        *,
        department: str | None = None,
        area: str | Iterable[str] | None = None,
        channels: Iterable[str] = (),
        ttl: float = 3600.0,
        audience: str = AUDIENCE,
        issuer: str = ISSUER,
    ) -> str:
        """A token for `subject` with one role or several. `ttl` in seconds; a negative one is expired already."""
        key = ECKey.import_key(json.loads(self.private.read_text()))
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": issuer,
            "aud": audience,
            "sub": subject,
            "roles": [role] if isinstance(role, str) else list(role),
            "iat": now,
            "exp": now + int(ttl),
            "jti": uuid.uuid4().hex,
        }
        if department is not None:
            claims["department"] = department
        if area is not None:
            claims["area"] = area if isinstance(area, str) else list(area)
        if channels := list(channels):
            claims["channels"] = channels
        return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "JWT"}, claims, key)


def _write_secret(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
