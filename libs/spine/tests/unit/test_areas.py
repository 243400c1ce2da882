"""When two names of areas mean the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_events.areas import area_key, normal_area


@pytest.mark.parametrize("text", ["North Side", " north  side ", "ＮＯＲＴＨ　ＳＩＤＥ", "north\tside"])
def test_width_capitals_and_spaces_say_nothing(text: str):
    assert normal_area(text) == "north side"


@pytest.mark.parametrize(
    ("text", "key"),
    [(None, None), ("", None), (" \u3000", None), ("other", None), ("Other ", None), ("浦东", "浦东"), ("浦东新区", "浦东新区")],
)
def test_a_name_of_nothing_and_what_no_catalogue_has_are_none(text: str | None, key: str | None):
    assert area_key(text) == key


@given(st.text())
def test_a_normal_form_is_its_own(text: str):
    assert normal_area(normal_area(text)) == normal_area(text)
