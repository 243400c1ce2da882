"""What the spine's parts say of their work as spans: which is whose parent, and that nothing personal is among it."""

from __future__ import annotations

from typing import Any

import pytest
from spine_log import STATES, Author, item, subject_of
from spine_spans import BEGINNING, TRACE, Notebook
from spine_stack import HANDLING_AGGREGATE, registered

from redress_events.contracts import CONTRACTS
from redress_events.event import replace
from redress_spine import tracing
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.records import Reader
from redress_spine.processing.effects import Leased
from redress_spine.processing.reactor import Effect

SUBJECT = subject_of(1)
ROW = STATES.fresh(SUBJECT)
WORDS = "我的手机没有信号"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.mark.parametrize(
    ("cause", "link"),
    [
        ({}, None),
        ({"traceparent": OTHER}, OTHER),
        ({"traceparent": BEGINNING.replace("00f0", "11f1")}, None),  # it is of the same trace
        ({"traceparent": "nonsense"}, "nonsense"),  # whoever collects it sees that
    ],
)
def test_a_commit_is_linked_to_what_another_trace_did_before(notebook: Notebook, cause: dict[str, str], link: str | None):
    decided = item(replace(ROW, cause=cause), registered(WORDS))
    decided.traceparent = BEGINNING
    tracing.committed(notebook, decided, 1)
    (span,) = notebook.spans
    assert (span.name, span.kind, span.parent, span.link, span.ended) == ("commit", "client", BEGINNING, link, "")
    assert span.attributes["redress.event.types"] == ["redress.intake.complaint-registered.v1"]
    assert WORDS not in str(span)


def test_a_log_line_is_found_with_its_trace():
    assert tracing.in_log(BEGINNING) == {"trace_id": TRACE}
    assert tracing.in_log(None) == tracing.in_log("nonsense") == {}


def test_a_command_that_changed_nothing_is_no_commit(notebook: Notebook):
    decided = item(ROW)
    decided.events.clear()
    tracing.committed(notebook, decided, 1)
    assert notebook.spans == []


def test_what_is_sent_has_the_event_for_its_parent(notebook: Notebook):
    decided = item(ROW, registered(WORDS))
    stream, _, topic, kind, _, _, value = decided.events[0]
    traced = value.replace(b'"data":', b'"traceparent":"' + BEGINNING.encode() + b'","data":')
    assert decode(traced).traceparent == BEGINNING
    for data in (traced, value):
        tracing.sent(notebook, [{"stream": stream, "topic": topic, "type": kind, "data": data}], 1)
    assert [(span.name, span.kind, span.parent) for span in notebook.spans] == [
        (f"send {topic}", "producer", BEGINNING),
        (f"send {topic}", "producer", None),
    ]
    assert notebook.spans[0].attributes["redress.subject"] == SUBJECT
    assert WORDS not in str(notebook.spans) and "sealed" not in str(notebook.spans)


def test_what_is_folded_is_told_and_what_comes_back_or_is_not_listened_to_is_not(notebook: Notebook):
    (record,) = Author(SUBJECT).say(registered(WORDS))
    listening = Reader("handling", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4).judge(record.record(7))
    own = Reader("intake", {"complaint": HANDLING_AGGREGATE}, CONTRACTS, 4).judge(record.record(7))
    items: Any = [listening, own]
    tracing.folded(notebook, items, 1)
    (span,) = notebook.spans
    assert (span.kind, span.attributes["messaging.kafka.offset"]) == ("consumer", 7)
    assert WORDS not in str(span) and "sealed" not in str(span)


def test_an_automation_goes_on_with_the_trace_of_what_made_its_row_due_and_an_effect_with_that_of_its_row(notebook: Notebook):
    row = replace(ROW, cause={"traceparent": BEGINNING})
    decision = tracing.decided(notebook, "open", row, 1)
    attempt = tracing.attempted(notebook, "opening", Leased(Effect("key", SUBJECT, {"a": WORDS}), 2, None, BEGINNING))  # type: ignore[arg-type]
    alone = tracing.decided(notebook, "open", ROW, 1)
    assert [span.parent for span in notebook.spans] == [BEGINNING, BEGINNING, None]
    assert TRACE in decision.traceparent and TRACE in attempt.traceparent and TRACE not in alone.traceparent
    assert notebook.spans[1].attributes["redress.effect.attempt"] == 2
    assert WORDS not in str(notebook.spans)
