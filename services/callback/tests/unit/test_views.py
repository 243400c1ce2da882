"""What agents see: a list free of personal data, and in a single visit what the call needs, as long as it is to be made."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from redress_callback.bodies import AttemptBody
from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.domain.attempt import Attempt
from redress_callback.domain.history import NOTES, SAID
from redress_callback.domain.own import Satisfaction
from redress_callback.testing import (
    answered,
    chased,
    classified,
    closed,
    missed,
    reached,
    registered,
    rejected,
    resolved,
    routed,
    scheduled,
    supplemented,
)
from redress_callback.views import VisitSummary, VisitView, references, references_in
from redress_events.catalogue import in_clear
from redress_events.contracts import CALLBACK
from redress_spine.store.states import Loaded
from redress_spine.testing import COMPLAINT, NOON, Happened, Spec, listed

callback = Spec(CALLBACK, AGGREGATE)
DUE = [registered(), classified(), routed(), resolved(), scheduled()]


def loaded(*happened: Happened) -> Loaded:
    return Loaded(COMPLAINT, callback.given(*happened).state, "etag", False, len(happened))


def test_an_empty_row_can_be_shown():
    assert VisitView.with_history(loaded(), listed(CALLBACK, AGGREGATE, ())).stage == "waiting"


def test_a_view_opens_what_the_call_needs_and_no_more():
    history = listed(CALLBACK, AGGREGATE, DUE)
    wanted = references(loaded(*DUE).state, history)
    assert sorted(wanted) == ["handling/6/cause", "handling/6/measures", "intake/1/phone", "intake/1/text"]
    view = VisitView.with_history(loaded(*DUE), history, {reference: f"<{reference}>" for reference in wanted})
    assert (view.phone, view.cause, view.told_customer) == ("<intake/1/phone>", "<handling/6/cause>", "phone")


def test_notes_of_earlier_attempts_are_shown():
    story = (*DUE, missed(1).model_copy(update={"note": "callback/2/note"}))
    noted, history = loaded(*story), listed(CALLBACK, AGGREGATE, story)
    notes = history[NOTES].entries
    assert references_in(noted.state, notes) == ["callback/2/note"]
    assert VisitView.with_history(noted, history, {"callback/2/note": "call after six"}).notes == ["call after six"]
    assert VisitView.with_history(noted, history).notes == [], "it was forgotten"
    ended = loaded(*story, reached(2), answered(), closed())
    assert references_in(ended.state, notes) == [], "nobody has to call any more"


def test_what_the_customer_said_since_is_shown_and_counted():
    later = NOON + timedelta(hours=1)
    story: list[Happened] = [*DUE, (supplemented(), NOON), (chased(), NOON), (chased(2, "intake/4/text"), later)]
    asked, history = loaded(*story), listed(CALLBACK, AGGREGATE, story)
    assert {"intake/2/text", "intake/4/text"} <= set(references(asked.state, history))
    view = VisitView.with_history(asked, history, {"intake/2/text": "still broken", "intake/4/text": "well?"})
    assert (view.said_since, view.said_at) == (3, later)
    assert [(each.what, each.at, each.words, each.attachments) for each in view.said] == [
        ("supplement", NOON, "still broken", ("photo-1",)),
        ("chase", later, "well?", ()),
    ], "a chase without words has no row"
    known = VisitSummary.of(loaded(registered(), chased(), resolved(said=1), scheduled()))
    assert (known.said_since, known.said_at) == (0, None), "the department knew it"
    in_vain: list[Happened] = [*DUE, missed(3)]
    assert VisitSummary.of(loaded(*in_vain)).give_up_at and not VisitSummary.of(loaded(*in_vain, chased())).give_up_at, "it is called off"
    ended = loaded(*story, reached(said=3), answered(), closed())
    assert references_in(ended.state, history[SAID].entries) == [], "nobody has to call any more"


def test_nothing_is_opened_while_nobody_has_to_call():
    assert references(loaded(registered(), rejected()).state, {}) == []
    ended = loaded(*DUE, reached(), answered(), closed())
    assert references(ended.state, {}) == []
    view = VisitView.with_history(ended, listed(CALLBACK, AGGREGATE, ()))
    assert (view.phone, view.solved, view.satisfaction, view.closed_as) == (None, True, 5, "satisfied")


def test_a_line_of_the_list_opens_nothing():
    story: list[Happened] = [*DUE, supplemented()]
    line, shown = VisitSummary.of(loaded(*story)).model_dump_json(), references(loaded(*story).state, listed(CALLBACK, AGGREGATE, story))
    assert len(shown) == 5 and all(reference not in line for reference in shown)


def test_who_was_reached_said_something_and_who_was_not_said_nothing():
    said = AttemptBody.model_validate({"reached": True, "solved": True, "satisfaction": 4, "words": "fine", "note": "late"})
    assert said.command() == Attempt(Satisfaction(True, 4, "fine"), "late")
    assert AttemptBody.model_validate({"reached": False, "note": "busy"}).command() == Attempt(None, "busy")


@pytest.mark.parametrize(
    "body",
    [
        {"reached": True},
        {"reached": True, "solved": True},
        {"reached": True, "satisfaction": 3},
        {"reached": True, "solved": True, "satisfaction": 0},
        {"reached": True, "solved": True, "satisfaction": 6},
        {"reached": True, "solved": "yes", "satisfaction": 3},
        {"reached": False, "words": "fine"},
        {"reached": False, "solved": False},
        {"reached": False, "satisfaction": 1},
    ],
)
def test_a_body_that_contradicts_itself_is_refused(body):
    with pytest.raises(ValidationError):
        AttemptBody.model_validate(body)


def test_an_agent_reads_what_was_said_of_product_and_place_and_how_files_are_called():
    said = registered().model_copy(update={"area": "other", "area_said": "intake/1/area_said"})
    added = supplemented().model_copy(update={"attachments": ("1",), "attachment_names": "intake/2/attachment_names"})
    story: list[Happened] = [said, *DUE[1:], (added, NOON)]
    due, history = loaded(*story), listed(CALLBACK, AGGREGATE, story)
    assert {"intake/1/area_said", "intake/2/attachment_names"} <= {*references(due.state, history)}
    view = VisitView.with_history(due, history, {"intake/1/area_said": "St James", "intake/2/attachment_names": "a"})
    assert (view.area, view.area_said, [each.attachment_names for each in view.said]) == ("other", "St James", [("a",)])


def test_old_labels_are_published_as_other_and_codes_as_they_are():
    assert [in_clear(label) for label in (None, "other", "broadband-500", "Ada Byron", "浦东", "a" * 41)] == [
        None, "other", "broadband-500", "other", "other", "other",
    ]  # fmt: skip
