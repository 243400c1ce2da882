"""What readers of a case see: lists are free of personal data, and a view opens exactly what it shows."""

from redress_events.contracts import HANDLING
from redress_events.states import Seen
from redress_events.testing import COMPLAINT, Happened, Spec
from redress_handling.domain.case import KIND
from redress_handling.testing import (
    accepted,
    chased,
    classified,
    contacted,
    dissatisfied,
    opened,
    progressed,
    registered,
    reopened,
    resolved,
    routed,
    supplemented,
    transferred,
)
from redress_handling.views import CaseSummary, CaseView, references

handling = Spec(HANDLING, KIND)
FULL = [
    registered(),
    supplemented(),
    chased(),
    classified(),
    routed(),
    opened(),
    accepted(),
    contacted(),
    resolved(),
    dissatisfied(),
    reopened(),
    opened(2),
    transferred("finance", cycle=2),
    accepted("bob", cycle=2, transfer=1),
    contacted(2),
    progressed(2),
    resolved(2, "finance"),
]


def seen(*happened: Happened) -> Seen:
    return Seen(COMPLAINT, handling.given(*happened).state, "etag", False, len(happened))


def test_an_empty_row_can_be_shown():
    assert CaseView.of(seen()).stage == "none"
    assert references(seen().state) == [None, None, None]


def test_a_line_of_the_list_opens_nothing():
    line = CaseSummary.of(seen(*FULL)).model_dump_json()
    assert all(reference not in line for reference in references(seen(*FULL).state) if reference)


def test_a_view_shows_all_words_that_it_had_opened():
    wanted = [reference for reference in references(seen(*FULL).state) if reference]
    view = CaseView.of(seen(*FULL), {reference: f"<{reference}>" for reference in wanted}).model_dump_json()
    assert [reference for reference in wanted if f"<{reference}>" not in view] == []


def test_what_was_forgotten_is_empty():
    view = CaseView.of(seen(*FULL))
    assert (view.text, view.supplements[0].words, view.earlier[0].cause, view.answer and view.answer.words) == (None, None, None, None)
    assert (view.number, view.cycle, view.handler, view.department) == ("7G2K-9QXR-4M", 2, "bob", "finance")
