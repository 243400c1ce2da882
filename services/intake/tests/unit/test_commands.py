"""What may be asked of the front door, and when it says no."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from redress_events.contracts import INTAKE
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintForgotten,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
    EarlierComplaint,
)
from redress_events.event import SKEW
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.catalogue import Catalogue, CatalogueEntry
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.forget import Forget, forget
from redress_intake.domain.limits import Limits
from redress_intake.domain.number import parse_number
from redress_intake.domain.own import Own, evolve
from redress_intake.domain.register import Implausible, Register, is_same, register
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_spine.aggregate import Context
from redress_spine.testing import NOON, Spec, folded

intake = Spec(INTAKE, AGGREGATE, {Supplement: supplement, Chase: chase, Withdraw: withdraw, Forget: forget})
CONTEXT = Context(now=NOON, actor="agent:li", entropy=bytes(range(16)))
REGISTERED = ComplaintRegistered(number="0000-0000-000", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")
EARLIER = EarlierComplaint(complaint="01890000-0000-7000-8000-0000000000ee", number="1111-1111-111")
CLOSED = ComplaintClosed(cycle=1, reason="satisfied")
SECOND = timedelta(seconds=1)


def registered(received_at: datetime | None = None, since: datetime | None = None) -> ComplaintRegistered:
    (event,) = register(Register(channel="web", kind="complaint", text="No signal", received_at=received_at, since=since), CONTEXT)
    assert isinstance(event, ComplaintRegistered)
    return event


def test_a_complaint_is_written_down_as_it_was_given():
    given: dict[str, Any] = {
        "channel": "shop",
        "kind": "fault-report",
        "text": "No signal",
        "received_at": NOON - SECOND,
        "customer": "Zhang",
        "on_behalf_of": "Zhang senior",
        "contact_person": "Zhang",
        "phone": "139",
        "email": "z@example.org",
        "address": "Street 1",
        "service_number": "SN-1",
        "product": "fibre",
        "area": "north",
        "since": NOON - 2 * SECOND,
        "remedy": "Repair",
        "instruction": "Call after six",
        "attachments": ("photo-1",),
        "refers_to": EARLIER,
        "account": "ACC-1",
        "external_id": "CRM-1",
        "metadata": '{"desk":"7"}',
    }
    sealed = {"product_said": "fibre", "area_said": "north", "attachment_names": "photo-1"}
    assert set(given) | set(sealed) | {"number", "client"} == set(ComplaintRegistered.model_fields)
    (event,) = register(Register(**given), CONTEXT)
    written = event.model_dump()
    number = written.pop("number")
    assert written.pop("client") == "li"
    in_clear = {"product": "other", "area": "other", "attachments": ("1",)}
    assert written == given | sealed | in_clear | {"refers_to": EARLIER.model_dump(), "external_id": "li\nCRM-1"}
    assert parse_number(number) == number


def test_a_complaint_is_the_same_where_it_would_have_been_registered_as_it_was():
    command = Register(
        channel="web", kind="complaint", text="No signal", phone="139", since=NOON - SECOND, external_id="CRM-1", attachments=("a", "b")
    )
    (event,) = register(command, CONTEXT)
    words = {f"intake/1/{name}": text for name, text in event.personal_values().items()}
    own = evolve(Own(), event.model_copy(update={name: f"intake/1/{name}" for name in event.personal_values()}), NOON)

    def same(**changed: Any) -> bool:
        return is_same(replace(command, **changed), own, words, "agent:li")

    assert same() and same(received_at=NOON) and same(received_at=NOON + SKEW)
    assert not same(received_at=NOON - SECOND) and not same(received_at=NOON + 2 * SKEW)
    for change in (
        {"text": "None"},
        {"phone": None},
        {"email": "z@example.org"},
        {"channel": "app"},
        {"refers_to": EARLIER},
        {"since": NOON},
        {"product": "fibre"},
        {"attachments": ("a", "c")},
        {"attachments": ("a",)},
    ):
        assert not same(**change), change
    assert not is_same(command, own, words, "agent:wang"), "somebody else's id"
    assert not is_same(command, own, {}, "agent:li"), "who was forgotten is nobody's second"


@pytest.mark.parametrize("said", ["fibre", "Fibre", "other", "Copper", None])
@pytest.mark.parametrize("code", ["fibre", "copper"])
def test_a_product_and_an_area_are_the_same_where_they_were_said_so_whatever_the_catalogue_has_meanwhile(said: str | None, code: str):
    entries = (CatalogueEntry(code=code, en=code, zh="光纤"),)
    command = Register(channel="web", kind="complaint", text="No signal", product=said, area=said)
    (event,) = register(command, CONTEXT, catalogue=Catalogue(products=entries, areas=entries))
    words = {f"intake/1/{name}": text for name, text in event.personal_values().items()}
    own = evolve(Own(), event.model_copy(update={name: f"intake/1/{name}" for name in event.personal_values()}), NOON)
    assert is_same(command, own, words, "agent:li")
    for field in ("product", "area"):
        for another in {"fibre", "Fibre", "FIBRE", "other", "Copper", None} - {said}:
            change: dict[str, Any] = {field: another}
            assert not is_same(replace(command, **change), own, words, "agent:li"), change


def test_what_the_catalogue_has_stands_in_clear_by_its_code_and_the_words_are_sealed():
    fibre, north = (CatalogueEntry(code=code, en="Fibre", zh="光纤") for code in ("fibre", "north"))
    catalogue = Catalogue(products=(fibre,), areas=(north,))

    def labels(product: str | None, area: str | None) -> tuple[str | None, ...]:
        command = Register(channel="web", kind="complaint", text="No signal", product=product, area=area)
        (event,) = register(command, CONTEXT, catalogue=catalogue)
        assert isinstance(event, ComplaintRegistered)
        return event.product, event.product_said, event.area, event.area_said

    assert labels("ＦＩＢＲＥ", "north") == ("fibre", "ＦＩＢＲＥ", "north", None)
    assert labels(None, "Ada Byron 13800000000 12 St James Sq") == (None, None, "other", "Ada Byron 13800000000 12 St James Sq")


def test_without_a_time_it_was_received_now():
    assert registered().received_at == NOON


@pytest.mark.parametrize("ahead", [SECOND, SKEW])
def test_a_front_end_whose_clock_is_ahead_a_little_is_forgiven(ahead: timedelta):
    assert registered(received_at=NOON + ahead).received_at == NOON
    assert registered(since=NOON + ahead).since == NOON
    both = registered(received_at=NOON + ahead, since=NOON + ahead)
    assert (both.received_at, both.since) == (NOON, NOON)
    earlier = registered(received_at=NOON - ahead, since=NOON)
    assert (earlier.received_at, earlier.since) == (NOON - ahead, NOON - ahead), "it is no later than its complaint"


@pytest.mark.parametrize(
    ("received_at", "since", "field"),
    [
        (NOON + SKEW + SECOND, None, "received_at"),
        (NOON - SKEW - SECOND, NOON, "since"),
        (None, NOON + SKEW + SECOND, "since"),
        (NOON + SKEW, NOON + SKEW + SECOND, "since"),
    ],
)
def test_dates_that_cannot_be_are_refused(received_at: datetime | None, since: datetime | None, field: str):
    with pytest.raises(Implausible) as refusal:
        registered(received_at, since)
    assert refusal.value.field == field


def test_a_fault_may_begin_with_its_complaint():
    assert registered(since=NOON).since == NOON


def test_supplements_and_chases_are_counted():
    first = intake.given(REGISTERED).when(Supplement("More", ("photo-2",)))
    first.then(ComplaintSupplemented(supplement=1, text="More", attachments=("1",), attachment_names="photo-2"))
    first.after.when(Supplement("Still more")).then(ComplaintSupplemented(supplement=2, text="Still more"))
    asked = intake.given(REGISTERED).when(Chase("Where is it?")).then(ComplaintChased(chase=1, text="Where is it?"))
    asked.after.when(Chase()).then(ComplaintChased(chase=2))


def test_a_complaint_holds_so_many_words_and_so_many_attachments_and_counts_what_has_none():
    limits = Limits(words=2, attachments=3)
    full = Spec(INTAKE, AGGREGATE, {Supplement: partial(supplement, limits=limits), Chase: partial(chase, limits=limits)})
    story = full.given(REGISTERED.model_copy(update={"attachments": ("a",)})).when(Supplement("More", ("b", "c")))
    story = story.then(ComplaintSupplemented(supplement=1, text="More", attachments=("2", "3"), attachment_names="b\nc"))
    refusal = story.after.when(Supplement("And this", ("d",))).refused("complaint-full").refusal
    assert refusal and f'"refers_to": "{REGISTERED.number}"' in refusal.message
    worded = story.after.when(Chase("Where is it?")).then(ComplaintChased(chase=1, text="Where is it?"))
    worded.after.when(Supplement("More")).refused("complaint-full")
    worded.after.when(Chase("Where?")).refused("complaint-full")
    worded.after.when(Chase()).then(ComplaintChased(chase=2))


def test_a_wish_said_twice_is_wished_once():
    wished = intake.given(REGISTERED).when(Withdraw("Solved itself")).then(ComplaintWithdrawn(withdrawal=1, reason="Solved itself"))
    wished.after.when(Withdraw("Really")).then_nothing()


def test_a_wish_that_was_answered_can_be_wished_again_in_a_new_cycle():
    answered = ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=1)
    story = intake.given(REGISTERED, ComplaintWithdrawn(withdrawal=1), answered, ComplaintReopened(cycle=2, urgency=1))
    story.when(Withdraw()).then(ComplaintWithdrawn(withdrawal=2))


@pytest.mark.parametrize("command", [Supplement("More"), Chase(), Withdraw()])
def test_nothing_is_added_to_a_closed_complaint(command: object):
    refusal = intake.given(REGISTERED, CLOSED).when(command).refused("complaint-closed").refusal
    assert refusal and f'"refers_to": "{REGISTERED.number}"' in refusal.message
    assert intake.given(REGISTERED, CLOSED, ComplaintReopened(cycle=2, urgency=1)).when(command).refusal is None


WANTED = Forget("court", "By an order of the court.", "proof")


def test_a_closed_complaint_is_forgotten_once():
    event = ComplaintForgotten(asked_by="court", reason="By an order of the court.", proof="proof")
    after = intake.given(REGISTERED, CLOSED).when(WANTED).then(event).after
    after.when(Forget("customer", "The customer wrote a letter.", "another")).then_nothing()
    assert folded(INTAKE, AGGREGATE, [(REGISTERED, NOON), (CLOSED, NOON), (event, NOON + SECOND)]).own.forgotten_at == NOON + SECOND


@pytest.mark.parametrize("before", [(), (ComplaintWithdrawn(withdrawal=1),), (CLOSED, ComplaintReopened(cycle=2, urgency=1))])
def test_who_still_works_on_it_needs_the_words(before: tuple[Any, ...]):
    intake.given(REGISTERED, *before).when(WANTED).refused("complaint-open")


def test_whose_department_is_judged_by_the_words_lets_them_be():
    intake.given(REGISTERED, CLOSED).by("supervisor:chen", "supervisor", department="finance").when(WANTED).refused("of-a-department")
