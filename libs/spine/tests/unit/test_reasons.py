"""Reasons that are kept in clear for ever: what is taken for a customer's number or address, however it is written, and what is not."""

from __future__ import annotations

import pytest

from redress_spine.processing.skips import WHY_LENGTH, checked_why


@pytest.mark.parametrize(
    "why",
    [
        "called 13900000000 twice",
        "called 139-0000-0000",
        "called (0571) 8888 0000",
        "called 1 3 9 0 0 0 0 0 0 0 0",
        "called 139\u00a00000\u00a00000",
        "called 139\u20130000\u20130000",
        "called １３９００００００００",
        "called ١٣٩٠٠٠٠",
        "电话一三九零零零零零零零零",
        "wang@example.com wrote",
        "wang＠example.com wrote",
        "wang(at)example.com wrote",
        "wang [AT] example.com wrote",
        "wang at example dot com wrote",
        "wang at example(dot)com wrote",
    ],
)
def test_what_looks_like_a_number_or_an_address_is_refused(why: str):
    with pytest.raises(ValueError, match="must not contain a phone number or an e-mail address"):
        checked_why(why)


@pytest.mark.parametrize(
    "why",
    [
        "Ticket 4711: the customer waits at our counter.",
        "INC-123456, looked at it in room 12",
        "two records of 2026, parked at offset 12",
        "工单 4711，客户在等",
        "stopped at the counter",
        "一次两次三次",
    ],
)
def test_a_ticket_and_a_sentence_are_a_reason(why: str):
    assert checked_why(f" {why} ") == why


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("  ", "is empty"),
        ("x" * (WHY_LENGTH + 1), "has 201 characters, and may have 200"),
        ("Ticket 4711\nand more", "a line break, or an invisible character"),
        ("Ticket 4711 \x1b[2J", "a line break, or an invisible character"),
        ("Ticket 4711 \u200b", "a line break, or an invisible character"),
    ],
)
def test_what_else_is_wrong_is_said(why: str, said: str):
    with pytest.raises(ValueError, match=said):
        checked_why(why)
