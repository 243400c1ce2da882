"""What characters a text may have, in every body of every service, and what the error says of others."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from redress_chassis import Label, Short, Words
from redress_chassis.api.texts import DIRECTIONS, is_visible
from redress_chassis.api.validation import flaws


@cache
def adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def said(shape: Any, text: str) -> list[tuple[str, str]]:
    """Code and sentence of each flaw, as a caller is told them."""
    try:
        adapter(shape).validate_python(text)
    except ValidationError as error:
        return [(each.code, each.detail) for each in flaws([{**each, "loc": ("body", *each["loc"])} for each in error.errors()], text)]
    return []


@pytest.mark.parametrize("shape", [Label, Short, Words])
@pytest.mark.parametrize(
    "text",
    [
        "Guangdong, Shenzhen",
        "宽带【100M】",
        "Fibre 500, 24 months",
        "5G+ (家庭)",
        "Ça va?",
        "=1+1",
        "👩\u200d🔧",
        "\ufeffA",
        "<b>&",
        "e\u0301",
    ],
)
def test_what_people_see_is_taken_as_they_write_it(shape: Any, text: str):
    assert adapter(shape).validate_python(text) == text


@pytest.mark.parametrize("shape", [Label, Short, Words])
@pytest.mark.parametrize(
    "text",
    ["", " ", "\n", "\u200b", "\u3164", "\u2800", "\u115f\u1160", "\uffa0", "\u0301", "\u200b \u3000\ufeff", "\ufe0f\u20e3", "\u00ad"],
)
def test_what_nobody_can_see_is_empty(shape: Any, text: str):
    assert said(shape, text) == [("string-too-short", "Write something here: it must not be empty.")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\x1b[31mb", "Leave out the escape character U+001B (character 2). "),
        ("ab\x07c", "Leave out the control character U+0007 (character 3). "),
        ("a\x9b31mb", "Leave out the control character U+009B (character 2). "),
        ("a\x7fb", "Leave out the control character U+007F (character 2). "),
        ("\u202eexe.gpj", "Leave out the character that turns the direction of the text around, U+202E (character 1). "),
        ("a\u2066b\u2069", "Leave out the character that turns the direction of the text around, U+2066 (character 2). "),
    ],
)
def test_what_a_terminal_obeys_is_refused_with_its_kind_its_place_and_what_to_do(text: str, sentence: str):
    assert said(Short, text) == [("control-character", sentence + "Write it on one line, in characters that can be seen.")]
    assert said(Words, text) == [("control-character", sentence + "Only line breaks and tabs may stay.")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("a\nb", "line break U+000A"), ("a\tb", "tab U+0009"), ("a\rb", "line break U+000D"), ("a\u2028b", "line break U+2028")],
)
def test_line_breaks_and_tabs_are_for_long_texts_alone(text: str, kind: str):
    ((code, sentence),) = said(Short, text)
    assert (code, sentence.partition(" (")[0]) == ("control-character", f"Leave out the {kind}")
    assert said(Words, text) == []


def test_line_breaks_of_all_systems_are_one():
    assert adapter(Words).validate_python("a\r\nb\rc\nd\u2028e\tf\x85") == "a\nb\nc\nd\ne\tf"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_is_taken_can_be_seen_and_obeys_nothing(text: str):
    for shape, besides in ((Short, ""), (Words, "\n\t")):
        if not said(shape, text):
            taken = adapter(shape).validate_python(text)
            assert is_visible(taken)
            assert not [each for each in taken if (unicodedata.category(each) == "Cc" or each in DIRECTIONS) and each not in besides]
            assert adapter(shape).validate_python(taken) == taken


@pytest.mark.parametrize("text", ["Ada Byron 13800000000", "ada@example.org", "一三八零零零零零零零零"])
def test_a_label_is_kept_in_clear_and_names_nobody(text: str):
    ((_, sentence),) = said(Label, text)
    assert sentence == "This is kept in clear: write a name without a phone number or an e-mail address."
    assert said(Short, text) == []
