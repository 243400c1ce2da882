"""The development issuer: its tokens verify by its JWKS, and its secrets are its owner's alone."""

from __future__ import annotations

import json
import stat

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from redress_local.issuer import AUDIENCE, ISSUER, Issuer


def test_a_token_verifies_by_the_published_keys(tmp_path):
    issuer = Issuer(tmp_path / "keys")
    token = issuer.mint("handler", "li.wei", department="network", ttl=60)
    keys = KeySet.import_key_set(json.loads(issuer.jwks.read_text()))
    claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
    assert claims["iss"] == ISSUER
    assert claims["aud"] == AUDIENCE
    assert (claims["sub"], claims["roles"], claims["department"]) == ("li.wei", ["handler"], "network")
    assert claims["exp"] - claims["iat"] == 60
    stranger = Issuer(tmp_path / "other").mint("ops", "li.wei")
    with pytest.raises(BadSignatureError):
        jwt.decode(token.rpartition(".")[0] + "." + stranger.rpartition(".")[2], keys, algorithms=["ES256"])


def test_nothing_private_is_published_or_readable_by_others(tmp_path):
    issuer = Issuer(tmp_path)
    assert all("d" not in key for key in json.loads(issuer.jwks.read_text())["keys"])
    assert len(issuer.master_key.read_bytes()) == 32
    for secret in (issuer.private, issuer.master_key):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_started_again_it_has_the_same_keys(tmp_path):
    first = Issuer(tmp_path).jwks.read_text(), Issuer(tmp_path).master_key.read_bytes()
    assert (Issuer(tmp_path).jwks.read_text(), Issuer(tmp_path).master_key.read_bytes()) == first


def test_a_master_key_that_was_exchanged_and_taken_away_stays_away(tmp_path):
    first = Issuer(tmp_path).master_key
    first.rename(first.with_name("master.2.key"))
    assert not Issuer(tmp_path).master_key.exists(), "another one under its number would pass for it"
    assert Issuer(tmp_path).master_keys().numbers == [2]
    first.with_name("master.2.key").unlink()
    assert len(Issuer(tmp_path).master_key.read_bytes()) == 32
