"""What is published agrees with the code, is read for ever, and is never rewritten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from cloudevents.core.bindings import kafka
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import Field, create_model
from referencing import Registry
from referencing.jsonschema import DRAFT7

from redress_events.contracts import CONTRACTS
from redress_events.contracts.callback import ClosedComplaint
from redress_events.event import Contract, Event
from redress_events.vocabulary import EVENT_TOPICS, LIFECYCLE
from redress_spine.messaging.envelope import GENESIS, chain, dataschema, decode, encode, headers
from redress_spine.schemas.__main__ import FOLDER, main
from redress_spine.schemas.folder import Plan
from redress_spine.store.vault import ciphertext_of

GOLDEN = sorted(FOLDER.glob("golden/*/*.json"))
EVENTS = [(kind, event) for contract in CONTRACTS.values() for kind, event in contract.by_type.items()]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def test_the_topics_are_those_of_the_contracts():
    assert {event.topic for _, event in EVENTS} == set(EVENT_TOPICS)


def test_the_folder_agrees_with_the_contracts():
    plan = Plan.of(FOLDER, CONTRACTS.values())
    assert list(plan.refusals) == []
    assert plan.drift(FOLDER) == []


@pytest.mark.parametrize("path", GOLDEN, ids=named)
def test_a_golden_file_is_read_by_todays_class_and_schema(path: Path):
    value = path.read_bytes().removesuffix(b"\n")
    envelope = decode(value)
    assert encode(envelope) == value
    event = CONTRACTS[envelope.source].by_type[envelope.type].model_validate(envelope.data)
    assert {name: json.loads(event.model_dump_json())[name] for name in envelope.data} == envelope.data
    for name in event.personal_fields():
        if (field := envelope.data.get(name)) is not None:
            assert ciphertext_of(field)
    schema = json.loads((FOLDER / "json" / f"{envelope.type}.json").read_bytes())
    assert schema["$id"] == envelope.dataschema == dataschema(envelope.type)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(envelope.data)


@pytest.mark.parametrize("path", GOLDEN, ids=named)
def test_a_golden_file_is_what_asyncapi_describes(path: Path):
    value = path.read_bytes()
    envelope = decode(value)
    document = asyncapi(envelope.source)
    name = next(name for name, message in document["components"]["messages"].items() if message["name"] == envelope.type)
    kept = {
        name: content.decode(errors="replace")
        for name, content in headers(envelope.subject, envelope.source, envelope.type, envelope.version, GENESIS, chain(GENESIS, value))
    }
    kept["mac"] = f"{envelope.source}.1.{'x' * 24}"
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT7.create_resource(document))
    for part, content in (("payload", json.loads(value)), ("headers", kept)):
        Draft7Validator({"$ref": f"urn:document#/components/messages/{name}/{part}"}, registry=registry).validate(content)


@cache
def asyncapi(source: str) -> Any:
    return yaml.safe_load((FOLDER / "asyncapi" / f"{source}.yaml").read_bytes())


@pytest.mark.parametrize("path", GOLDEN, ids=named)
def test_a_golden_file_is_read_by_the_official_sdk(path: Path):
    value = path.read_bytes()
    envelope = decode(value)
    kept = dict(headers(envelope.subject, envelope.source, envelope.type, envelope.version, GENESIS, chain(GENESIS, value)))
    event = kafka.from_structured_event(kafka.KafkaMessage(headers=kept, key=envelope.subject.encode(), value=value))
    assert (event.get_id(), event.get_time(), event.get_data()) == (envelope.id, envelope.time, envelope.data)
    assert event.get_dataschema() == envelope.dataschema


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.json")) + sorted(FOLDER.glob("published/*/*.json")), ids=named)
def test_a_schema_is_a_schema(path: Path):
    Draft202012Validator.check_schema(json.loads(path.read_bytes()))


@pytest.mark.parametrize("source", CONTRACTS)
def test_every_reference_of_an_asyncapi_document_leads_somewhere(source: str):
    document = asyncapi(source)
    found = list(references(document))
    assert found or not CONTRACTS[source].by_type
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    sent = {topic: set(channel["messages"]) for topic, channel in document["channels"].items()}
    for event in CONTRACTS[source].type_of:
        assert event.__name__ in sent[event.topic]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from references(item)


@pytest.mark.parametrize(("kind", "event"), EVENTS, ids=[kind for kind, _ in EVENTS])
def test_personal_marks_stand_where_sealing_looks_for_them(kind: str, event: type[Event]):
    text = (FOLDER / "json" / f"{kind}.json").read_text()
    assert text.count('"x-personal": true') == len(event.personal_fields())
    assert event.topic == LIFECYCLE or not event.personal_fields()


@pytest.mark.parametrize(("kind", "event"), EVENTS, ids=[kind for kind, _ in EVENTS])
def test_what_may_be_empty_may_be_missing(kind: str, event: type[Event]):
    """The journal leaves empty fields out, so a missing one has to read as empty."""
    for field in json.loads((FOLDER / "json" / f"{kind}.json").read_bytes()).get("properties", {}).values():
        if {"type": "null"} in field.get("anyOf", ()):
            assert field.get("default", "required") is None


def test_the_readme_explains_every_field_of_the_public_record():
    text = (FOLDER / "README.md").read_text()
    for name in ClosedComplaint.model_fields:
        assert f"`{name}`" in text


def test_the_readmes_snippet_reads_the_public_record(capsys: pytest.CaptureFixture[str]):
    [snippet] = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    value = (FOLDER / "golden" / "redress.callback.closed-complaint.v1" / "minimal.json").read_bytes()
    envelope = decode(value)
    exec(
        snippet,
        {
            "headers": headers(envelope.subject, envelope.source, envelope.type, envelope.version, GENESIS, chain(GENESIS, value)),
            "key": envelope.subject.encode(),
            "value": value,
        },
    )
    assert capsys.readouterr().out == f"{envelope.data['number']} {envelope.data['reason']} None\n"


# --- how the folder grows ---


def noted(name: str = "ComplaintNoted", **fields: Any) -> Contract:
    return Contract("intake", create_model(name, __base__=Event, number=(str, ...), **fields))


def published(root: Path, contract: Contract) -> list[str]:
    plan = Plan.of(root, [contract])
    assert list(plan.refusals) == []
    return sorted(plan.write(root))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_writing_twice_changes_nothing(tmp_path: Path):
    assert len(published(tmp_path, noted())) == 5
    before = contents(tmp_path)
    assert published(tmp_path, noted()) == []
    assert contents(tmp_path) == before
    assert Plan.of(tmp_path, [noted()]).drift(tmp_path) == []


def test_a_new_optional_field_adds_an_entry_and_a_golden_file_and_rewrites_neither(tmp_path: Path):
    published(tmp_path, noted())
    before = contents(tmp_path)
    wider = noted(remark=(str | None, None))
    assert Plan.of(tmp_path, [wider]).drift(tmp_path) != []
    changed = published(tmp_path, wider)
    assert changed[:2] == ["asyncapi/intake.yaml", "golden/redress.intake.complaint-noted.v1/full-2.json"]
    assert changed[3].startswith("published/redress.intake.complaint-noted.v1/2-")
    assert len(changed) == 4
    kept = {path: content for path, content in before.items() if path.startswith(("published/", "golden/"))}
    assert kept.items() <= contents(tmp_path).items()


def test_a_field_that_came_and_went_is_refused_by_the_entry_that_had_it(tmp_path: Path):
    published(tmp_path, noted())
    published(tmp_path, noted(remark=(str | None, None)))
    [refusal] = Plan.of(tmp_path, [noted()]).refusals
    assert "`remark` is gone" in refusal
    assert "published/redress.intake.complaint-noted.v1/2-" in refusal


def test_a_refusal_says_what_to_do_instead(tmp_path: Path):
    published(tmp_path, noted("ComplaintNotedV2"))
    [refusal] = Plan.of(tmp_path, [noted("ComplaintNotedV2", remark=(str, ...))]).refusals
    assert "`remark` is new and required" in refusal
    assert "make a ComplaintNotedV3 class" in refusal


def test_a_published_class_is_never_removed(tmp_path: Path):
    published(tmp_path, noted())
    [refusal] = Plan.of(tmp_path, [Contract("intake")]).refusals
    assert "redress.intake.complaint-noted.v1 is published" in refusal


def test_history_cannot_be_rewritten(tmp_path: Path):
    published(tmp_path, noted())
    [entry] = tmp_path.glob("published/*/*")
    entry.write_bytes(entry.read_bytes().replace(b'"string"', b'"integer"'))
    [refusal] = Plan.of(tmp_path, [noted()]).refusals
    assert "was changed after it was published" in refusal


def test_history_has_no_gaps(tmp_path: Path):
    published(tmp_path, noted())
    published(tmp_path, noted(remark=(str | None, None)))
    [first] = tmp_path.glob("published/*/1-*")
    first.unlink()
    [refusal] = Plan.of(tmp_path, [noted(remark=(str | None, None))]).refusals
    assert "is not entry 1" in refusal


def test_a_sample_that_does_not_fit_is_named(tmp_path: Path):
    [refusal] = Plan.of(tmp_path, [noted(score=(Annotated[int, Field(le=3)], ...), department=(int, 0))]).refusals
    assert "value for `department`, `score` does not fit" in refusal
    assert "SAMPLES" in refusal


def test_drift_is_a_readable_diff(tmp_path: Path):
    published(tmp_path, noted())
    mirror = tmp_path / "json" / "redress.intake.complaint-noted.v1.json"
    mirror.write_bytes(mirror.read_bytes().replace(b'"string"', b'"integer"'))
    (tmp_path / "json" / "redress.intake.nothing.v1.json").write_text("{}")
    drift = Plan.of(tmp_path, [noted()]).drift(tmp_path)
    assert drift[0] == "json/redress.intake.nothing.v1.json no longer corresponds to anything in the contracts.\n"
    assert '-      "type": "integer"\n+      "type": "string"\n' in drift[1]


def test_the_command_writes_then_agrees_then_sees_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    there = ["--folder", str(tmp_path)]
    assert main([*there, "--check"]) == 1
    assert main(there) == 0
    assert main([*there, "--check"]) == 0
    assert main(there) == 0
    assert capsys.readouterr().out.endswith("Nothing changed.\n")
    next(tmp_path.glob("golden/*/full.json")).unlink()
    assert main([*there, "--check"]) == 1
    assert "full.json is missing." in capsys.readouterr().err
    next(tmp_path.glob("published/*/1-*.json")).write_text("{}")
    assert main(there) == 1
    assert "was changed after it was published" in capsys.readouterr().err
