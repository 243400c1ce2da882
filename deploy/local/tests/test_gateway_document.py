"""One OpenAPI document of all services, and what the proxy is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from redress_local import gateway
from redress_local.gateway import Clash, caddyfile, combined, operations


def document(*paths: str, schemas: dict[str, Any] | None = None, ids: str = "") -> dict[str, Any]:
    content = [{"$ref": f"#/components/schemas/{name}"} for name in schemas or {}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Redress jar", "version": "1"},
        "paths": {path: {"get": {"operationId": f"{ids or 'read'}{path}", "responses": content}} for path in paths},
        "components": {"schemas": schemas or {}},
    }


def test_paths_stand_under_their_services_names_and_operators_are_left_out():
    whole = combined({"jar": document("/notes", "/notes/{note}", "/ops/parked"), "shelf": document("/jars")})
    assert list(whole["paths"]) == ["/jar/notes", "/jar/notes/{note}", "/shelf/jars"]
    assert operations(document("/notes", "/notes/{note}", "/ops/parked", "/jars")) == ["jars", "notes"]


def test_what_two_services_say_alike_stands_there_once_and_what_they_say_otherwise_is_refused():
    same = combined({"jar": document("/notes", schemas={"Problem": {"a": 1}}), "shelf": document("/jars", schemas={"Problem": {"a": 1}})})
    assert same["components"]["schemas"] == {"Problem": {"a": 1}}
    with pytest.raises(Clash, match="shelf has another Problem under components/schemas"):
        combined({"jar": document("/notes", schemas={"Problem": {"a": 1}}), "shelf": document("/jars", schemas={"Problem": {"a": 2}})})
    with pytest.raises(Clash, match="shelf and jar both have an operation read/notes"):
        combined({"jar": document("/notes"), "shelf": document("/notes")})


def test_schemas_of_operators_alone_are_left_out_and_what_a_schema_refers_to_is_not():
    parked = {"Parked": {"properties": {"record": {"$ref": "#/components/schemas/Record"}}}, "Record": {"type": "object"}}
    jar = document("/notes", "/ops/parked", schemas=parked)
    jar["paths"]["/notes"]["get"]["responses"] = [{"$ref": "#/components/schemas/Parked"}]
    assert combined({"jar": jar})["components"]["schemas"] == parked
    jar["paths"]["/notes"]["get"]["responses"] = [{"$ref": "#/components/schemas/Record"}]
    assert combined({"jar": jar})["components"]["schemas"].keys() == {"Record"}


def test_the_proxy_leads_to_these_operations_alone():
    told = caddyfile({"jar": document("/notes", "/ops/parked")})
    assert "@jar path_regexp ^/jar/(notes)(/|$)" in told and "ops" not in told.partition(":8080 {")[2]


def test_a_file_that_says_otherwise_is_shown_and_fails_the_check(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gateway, "ROOT", tmp_path)
    monkeypatch.setattr(gateway, "FOLDER", tmp_path)
    monkeypatch.setattr(gateway, "read_services", lambda root: [])
    monkeypatch.setattr(gateway, "documents", lambda services: {"jar": document("/notes")})
    monkeypatch.setattr("sys.argv", ["gateway"])
    assert gateway.main() == 0
    assert list(json.loads((tmp_path / "openapi.json").read_text())["paths"]) == ["/jar/notes"]
    monkeypatch.setattr("sys.argv", ["gateway", "--check"])
    assert gateway.main() == 0
    (tmp_path / "Caddyfile").write_text("elsewhere")
    assert gateway.main() == 1
    assert "-elsewhere" in capsys.readouterr().err
