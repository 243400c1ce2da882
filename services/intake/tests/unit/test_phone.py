"""Which phone numbers can be called: those of China as people write them, and those of other countries with their code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_intake.domain.phone import can_be_called


@pytest.mark.parametrize(
    "text",
    [
        "13800000000",
        "138 0000 0000",
        "138-0000-0000",
        "１３８００００００００",
        "+86 138 0000 0000",
        "008613800000000",
        "013800000000",
        "010-62345678",
        "(010) 62345678",
        "021 6234 5678",
        "0898-66234567",
        "0898 6234567",
        "+86 10 6234 5678",
        "400-123-4567",
        "4001234567",
        "8008101234",
        "95588",
        "95105555",
        "10086",
        "12345",
        "010-62345678-8001",
        "010-62345678转8001",
        "010—62345678",
        "+1 415 555 2671",
        "0044 20 7946 0958",
        "13800000000（张先生）",
        "张先生：13800000000",
        "62345678/13800000000",
        "62345678、13800000000",
        "mobile: +852 6123 4567",
    ],
)
def test_what_somebody_can_call(text: str):
    assert can_be_called(text)


@pytest.mark.parametrize(
    "text",
    [
        "1380000000",  # a digit is missing
        "138000000000",  # one too many
        "12800000000",
        "62345678",  # which town?
        "1.38E+10",
        "暂无",
        "none",
        "0",
        "+",
        "+0123456789",
        "+1234",
        "+1234567890123456",
        "00000000000",
        "110",
        "5",
        "(",
        "",
    ],
)
def test_what_nobody_can_call(text: str):
    assert not can_be_called(text)


@given(st.text())
def test_any_text_is_judged(text: str):
    assert can_be_called(text) in (True, False)


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "+86", "0086", "86", "+86-", "0"]))
def test_a_mobile_can_be_called_whatever_stands_before_it(digits: str, prefix: str):
    assert can_be_called(prefix + digits)


@given(st.from_regex(r"1[3-9][0-9]{0,8}", fullmatch=True))
def test_a_mobile_that_lacks_digits_cannot(digits: str):
    assert not can_be_called(digits)
