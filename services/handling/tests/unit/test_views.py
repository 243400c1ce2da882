"""What readers of a case see: lists are free of personal data, and a view opens exactly what it shows."""

from collections.abc import Mapping

from redress_events.contracts import HANDLING
from redress_events.contracts.intake import ComplaintSupplemented
from redress_handling.domain.aggregate import AGGREGATE
from redress_handling.testing import (
    accepted,
    cancelled,
    chased,
    classified,
    contacted,
    dissatisfied,
    opened,
    progressed,
    registered,
    rejected,
    reopened,
    resolved,
    routed,
    supplemented,
    transferred,
)
from redress_handling.views import NOTHING, CaseSummary, CaseView, references
from redress_spine.store.states import Loaded
from redress_spine.testing import COMPLAINT, Happened, Spec, listed

handling = Spec(HANDLING, AGGREGATE)
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


def loaded(*happened: Happened) -> Loaded:
    return Loaded(COMPLAINT, handling.given(*happened).state, "etag", False, len(happened))


def shown(*happened: Happened, opened: Mapping[str, str] = NOTHING) -> CaseView:
    return CaseView.with_history(loaded(*happened), listed(HANDLING, AGGREGATE, happened), opened)


def wanted(*happened: Happened) -> list[str]:
    return [reference for reference in references(loaded(*happened).state, listed(HANDLING, AGGREGATE, happened)) if reference]


def test_an_empty_row_can_be_shown():
    assert shown().stage == "none"
    assert wanted() == []


def test_a_line_of_the_list_opens_nothing_and_counts():
    line = CaseSummary.of(loaded(*FULL))
    assert all(reference not in line.model_dump_json() for reference in wanted(*FULL))
    assert (line.counts.supplements, line.counts.chases, line.counts.contacts, line.counts.reports) == (1, 1, 1, 1)


def test_a_view_shows_all_words_that_it_had_opened():
    view = shown(*FULL, opened={reference: f"<{reference}>" for reference in wanted(*FULL)}).model_dump_json()
    assert [reference for reference in wanted(*FULL) if f"<{reference}>" not in view] == []


def test_a_view_tells_the_outcome_of_this_cycle_apart_from_earlier_ones():
    view = shown(*FULL)
    assert view.outcome is not None
    assert (view.outcome.cycle, [each.cycle for each in view.earlier]) == (2, [1])
    assert [each.cycle for each in shown(*FULL[:-1]).earlier] == [1]
    assert [(each.cycle, each.means) for each in view.contacts] == [(1, "phone"), (2, "phone")]
    ended = shown(registered(), routed(), opened(), cancelled(), opened(2), rejected(2), opened(3)).earlier
    assert {(each.cycle, each.kind) for each in ended} == {(1, "cancelled"), (2, "rejected")}


def test_what_was_forgotten_is_empty():
    view = shown(*FULL)
    assert (view.text, view.supplements[0].words, view.earlier[0].cause, view.answer and view.answer.words) == (None, None, None, None)
    assert (view.number, view.cycle, view.handler, view.department) == ("7G2K-9QXR-4M", 2, "bob", "finance")


def test_a_handler_reads_what_was_said_of_product_and_place_and_how_files_are_called():
    given = {"product_said": "intake/1/product_said", "area_said": "intake/1/area_said", "attachment_names": "intake/1/attachment_names"}
    told = registered().model_copy(update=given | {"product": "other", "area": "other", "attachments": ("1", "2")})
    added = ComplaintSupplemented(supplement=1, text="intake/2/text", attachments=("3",), attachment_names="intake/2/attachment_names")
    assert {*given.values(), "intake/2/attachment_names"} <= {*wanted(told, added)}
    opened = {each: each.rpartition("/")[2] for each in given.values()}
    opened |= {"intake/1/attachment_names": "a\nb", "intake/2/attachment_names": "c"}
    case = shown(told, added, opened=opened)
    assert (case.product, case.product_said, case.area_said) == ("other", "product_said", "area_said")
    assert (case.attachments, case.attachment_names) == (("1", "2"), ("a", "b"))
    assert [(each.attachments, each.attachment_names) for each in case.supplements] == [(("3",), ("c",))]
    assert shown(told, added).attachment_names == (), "forgotten, or not for the caller"
