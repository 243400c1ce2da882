"""The envelope survives the log, and whatever else comes from there is refused in one way only."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings import kafka
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_spine.messaging.envelope import (
    GENESIS,
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_VERSION,
    Envelope,
    Malformed,
    chain,
    dataschema,
    decode,
    encode,
    event_id,
    headers,
)

SUBJECT = "complaint/01890000-0000-7000-8000-000000000001"
TYPE = "redress.intake.complaint-registered.v1"
REGISTERED = Envelope(
    id=f"{SUBJECT}/intake/1",
    source="intake",
    type=TYPE,
    subject=SUBJECT,
    time=datetime(2026, 3, 2, 12, 0, 0, 7, tzinfo=UTC),
    version=1,
    data={"number": "7K2M9QXD4TR", "text": "sealed:1:AAAA"},
    actor="agent:alice",
    correlation="c-1",
    causation=None,
    traceparent=None,
    dataschema="urn:redress:schema:redress.intake.complaint-registered:1",
)
ON_THE_LOG = (
    b'{"specversion":"1.0","id":"complaint/01890000-0000-7000-8000-000000000001/intake/1","source":"intake",'
    b'"type":"redress.intake.complaint-registered.v1","subject":"complaint/01890000-0000-7000-8000-000000000001",'
    b'"time":"2026-03-02T12:00:00.000007Z","datacontenttype":"application/json",'
    b'"dataschema":"urn:redress:schema:redress.intake.complaint-registered:1","streamversion":1,"actor":"agent:alice",'
    b'"correlationid":"c-1","data":{"number":"7K2M9QXD4TR","text":"sealed:1:AAAA"}}'
)

# Cores are shared: a slow draw says nothing about the code.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
numbers = st.integers(-MAX_NUMBER + 1, MAX_NUMBER - 1) | st.floats(-1e15, 1e15)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def envelopes(draw: st.DrawFn, data: st.SearchStrategy[Any] = plain) -> Envelope:
    source = draw(st.sampled_from(["intake", "triage", "sla-monitor"]))
    subject = draw(st.sampled_from(["complaint", "closed", "incident"])) + "/" + draw(st.uuids().map(str))
    version = draw(st.integers(1, MAX_VERSION))
    type_ = f"redress.{source}.{draw(st.sampled_from(['complaint-routed', 'met']))}.v{draw(st.integers(1, 20))}"
    return Envelope(
        id=event_id(subject, source, version),
        source=source,
        type=type_,
        subject=subject,
        time=draw(st.datetimes(timezones=st.just(UTC))),
        version=version,
        data=draw(st.dictionaries(words, data, max_size=4)),
        actor=draw(words),
        correlation=draw(words),
        causation=draw(st.none() | words),
        traceparent=draw(st.none() | words),
        dataschema=dataschema(type_),
    )


def changed(**attributes: Any) -> bytes:
    """The envelope on the log with other attributes; None takes one away."""
    read = orjson.loads(ON_THE_LOG) | attributes
    return orjson.dumps({name: value for name, value in read.items() if value is not None})


def test_the_bytes_on_the_log_are_these():
    assert encode(REGISTERED) == ON_THE_LOG


def test_they_read_back():
    assert decode(ON_THE_LOG) == REGISTERED


def test_every_attribute_has_its_place():
    whole = encode(replace(REGISTERED, causation="before", traceparent="00-a-b-01"))
    assert list(orjson.loads(whole))[-4:] == ["correlationid", "causationid", "traceparent", "data"]


@patient
@given(envelopes())
def test_what_is_encoded_decodes_to_the_same(envelope: Envelope):
    value = encode(envelope)
    assert decode(value) == envelope
    assert encode(decode(value)) == value


@patient
@given(envelopes(anything))
def test_encode_writes_nothing_that_decode_refuses(envelope: Envelope):
    try:
        value = encode(envelope)
    except Malformed:
        return
    assert encode(decode(value)) == value


def test_an_instant_of_another_zone_is_written_in_utc():
    elsewhere = REGISTERED.time.astimezone(timezone(timedelta(hours=8)))
    assert encode(replace(REGISTERED, time=elsewhere)) == ON_THE_LOG
    assert decode(changed(time="2026-03-02T20:00:00.000007+08:00")) == REGISTERED


def test_attributes_of_later_releases_are_ignored():
    assert decode(changed(tracestate="a=b", severity={"deep": 1})) == REGISTERED


def test_a_backslash_before_u0000_is_no_nul():
    envelope = replace(REGISTERED, data={"text": "\\u0000"})
    assert decode(encode(envelope)) == envelope


@pytest.mark.parametrize(
    "attributes",
    [
        {"specversion": "0.3"},
        {"specversion": None},
        {"id": None},
        {"id": f"{SUBJECT}/intake/2"},
        {"source": "triage"},
        {"source": 7},
        {"type": None},
        {"type": "redress.intake.complaint-registered"},
        {"type": "redress.intake.complaint-registered.v0"},
        {"type": "redress.intake.complaint-registered.v1\n"},
        {"subject": None},
        {"subject": "complaint/"},
        {"subject": "complaint/a b"},
        {"subject": ["complaint/1"]},
        {"time": None},
        {"time": 1772452800},
        {"time": "2026-03-02T12:00:00"},
        {"time": "2026-03-02"},
        {"time": "2026-W10-1T12:00:00Z"},
        {"time": "2026-02-30T12:00:00Z"},
        {"time": "2026-03-02T12:00:00.0000001Z"},
        {"time": "0001-01-01T00:00:00+23:00"},
        {"datacontenttype": "text/plain"},
        {"streamversion": None},
        {"streamversion": 0},
        {"streamversion": True},
        {"streamversion": 1.0},
        {"streamversion": "1"},
        {"streamversion": MAX_VERSION + 1},
        {"actor": ""},
        {"correlationid": None},
        {"causationid": ["x"]},
        {"traceparent": 5},
        {"dataschema": None},
        {"data": None},
        {"data": []},
        {"data": {"note": "a\0b"}},
        {"data": {"a\0b": 1}},
        {"data": {"deep": [{"note": "\0"}]}},
        {"actor": "\0"},
        {"data": {"count": MAX_NUMBER}},
        {"data": {"count": [{"deep": 1e19}]}},
    ],
    ids=repr,
)
def test_what_is_no_envelope_is_malformed(attributes: dict[str, Any]):
    with pytest.raises(Malformed):
        decode(changed(**attributes))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        ON_THE_LOG[:-1],
        b"\xef\xbb\xbf" + ON_THE_LOG,
        ON_THE_LOG.replace(b"alice", b"\xff\xfe"),
        ON_THE_LOG.replace(b"alice", b"\\ud800"),
        ON_THE_LOG.replace(b"alice", b"al\0ice"),
        ON_THE_LOG.replace(b'"streamversion":1', b'"streamversion":' + b"9" * 400),
        b"[" * 100_000,
        ON_THE_LOG.replace(b'"sealed:1:AAAA"', b"[" * MAX_DEPTH + b"]" * MAX_DEPTH),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_not_even_json_is_malformed(value: bytes):
    with pytest.raises(Malformed):
        decode(value)


@patient
@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")))
def test_no_bytes_raise_anything_else(value: bytes):
    with pytest.raises(Malformed):
        decode(value)


@patient
@given(st.dictionaries(st.sampled_from(sorted(orjson.loads(ON_THE_LOG))), plain | words, min_size=1, max_size=3))
def test_no_changed_attribute_raises_anything_else(attributes: dict[str, Any]):
    with suppress(Malformed):
        decode(orjson.dumps(orjson.loads(ON_THE_LOG) | attributes))


@patient
@given(st.integers(0, len(ON_THE_LOG)), st.integers(0, 40), st.binary(max_size=10))
def test_no_damaged_bytes_raise_anything_else(start: int, length: int, instead: bytes):
    with suppress(Malformed):
        decode(ON_THE_LOG[:start] + instead + ON_THE_LOG[start + length :])


@pytest.mark.parametrize(
    "attributes",
    [
        {"time": REGISTERED.time.replace(tzinfo=None)},
        {"time": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
        {"version": 0},
        {"id": "chosen by hand"},
        {"source": "triage"},
        {"actor": ""},
        {"data": {"text": "\0"}},
        {"data": {"text": "\ud800"}},
        {"data": {"count": 2**64}},
        {"data": {"share": float("nan")}},
        {"data": {"things": {"a set"}}},
    ],
    ids=repr,
)
def test_an_event_that_nobody_could_read_is_not_written(attributes: dict[str, Any]):
    with pytest.raises(Malformed):
        encode(replace(REGISTERED, **attributes))


def test_the_chain_begins_with_zeros_and_covers_all_bytes():
    first = chain(GENESIS, ON_THE_LOG)
    assert first == sha256(bytes(32) + ON_THE_LOG).digest()
    assert chain(first, ON_THE_LOG) == sha256(first + ON_THE_LOG).digest()


def test_headers_repeat_what_filters_need():
    written = dict(headers(REGISTERED.subject, REGISTERED.source, REGISTERED.type, REGISTERED.version, GENESIS, chain(GENESIS, ON_THE_LOG)))
    assert written == {
        "content-type": b"application/cloudevents+json; charset=UTF-8",
        "id": f"{SUBJECT}/intake/1".encode(),
        "type": TYPE.encode(),
        "source": b"intake",
        "subject": SUBJECT.encode(),
        "streamversion": b"1",
        "hash": chain(GENESIS, ON_THE_LOG),
        "prevhash": GENESIS,
    }


@patient
@given(envelopes())
def test_the_official_sdk_reads_them(envelope: Envelope):
    value = encode(envelope)
    kept = dict(headers(envelope.subject, envelope.source, envelope.type, envelope.version, GENESIS, chain(GENESIS, value)))
    event = kafka.from_structured_event(kafka.KafkaMessage(headers=kept, key=envelope.subject.encode(), value=value))
    assert (event.get_id(), event.get_type(), event.get_source()) == (envelope.id, envelope.type, envelope.source)
    assert (event.get_subject(), event.get_time(), event.get_data()) == (envelope.subject, envelope.time, envelope.data)
    assert event.get_extension("streamversion") == envelope.version


def test_a_dataschema_names_type_and_version():
    assert dataschema("redress.callback.complaint-closed.v12") == "urn:redress:schema:redress.callback.complaint-closed:12"
    with pytest.raises(Malformed):
        dataschema("complaint-closed")
