"""However a number was written down, it is found; and no two numbers are taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_intake.domain.lookup import LOOKUPS, UNIQUE, normal_number

FULL_WIDTH = str.maketrans("0123456789+()", "０１２３４５６７８９＋（）")
SEPARATORS = st.text(" -/.()\u2010\u2013\u2014\u3000\u00a0\t\u200b（）－／", max_size=3)
MOBILE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
LANDLINE = st.from_regex(r"(10|2[0-9]|[3-9][0-9]{2})[1-9][0-9]{7}", fullmatch=True)  # without the trunk zero


@st.composite
def written(draw: st.DrawFn, digits: str, prefixes: list[str]) -> str:
    """The number, with something between any two characters."""
    plain = draw(st.sampled_from(prefixes)) + digits
    said = "".join(character + draw(SEPARATORS) for character in plain)
    said = draw(SEPARATORS) + said
    return said.translate(FULL_WIDTH) if draw(st.booleans()) else said


@given(st.data(), MOBILE)
def test_a_mobile_number_is_found_however_it_was_written(data: st.DataObject, digits: str):
    assert normal_number(data.draw(written(digits, ["", "+86", "0086", "86", "+860", "0"]))) == digits


@given(st.data(), LANDLINE)
def test_a_landline_is_found_with_and_without_country_code_and_trunk_zero(data: st.DataObject, digits: str):
    assert normal_number(data.draw(written(digits, ["0", "+86", "0086", "+860", "00860"]))) == digits


@given(st.text())
def test_a_normal_form_is_its_own(text: str):
    normal = normal_number(text)
    assert normal is None or normal_number(normal) == normal


@given(MOBILE, MOBILE)
def test_two_numbers_are_two(one: str, other: str):
    assert (normal_number(one) == normal_number(f"+86 {other}")) == (one == other)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("+44 (0)20 7946 0000", "+4402079460000"),
        ("0044 20 7946 0000", "+442079460000"),
        ("021-6888 8888 转 801", "02168888888转801"),
        ("HZ-0012 345", "hz0012345"),
        ("ＨＺ００１２３４５", "hz0012345"),
        ("0012345", "+12345"),
        ("012345", "012345"),
        ("10086", "10086"),
        ("8613", "8613"),
        ("٠١٢٣", "0123"),
        ("+86", "+86"),
        ("  -/ ", None),
        ("", None),
    ],
)
def test_what_is_no_number_of_china_keeps_what_tells_it_apart(text: str, normal: str | None):
    assert normal_number(text) == normal


def test_what_a_front_end_calls_a_complaint_is_looked_for_as_it_is():
    assert [LOOKUPS["external_id"](text) for text in ("app\nCRM-1", "app\ncrm 1")] == ["app\nCRM-1", "app\ncrm 1"]
    assert LOOKUPS.keys() >= UNIQUE
