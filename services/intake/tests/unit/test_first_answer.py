"""What a customer is told at once, and in which language."""

import typing

import pytest

from redress_events.vocabulary import ContactKind
from redress_intake.first_answer import FirstAnswer, first_answer, language_of

POLICY = first_answer()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("ZH-hans-cn", "zh"),
        ("en;q=0.5, zh;q=0.9", "zh"),
        ("en, zh", "en"),
        ("fr, zh ; q = 0.2", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nan", "en"),
        ("zh;q=inf", "en"),
        ("zh;q=much", "en"),
        ("zhuang", "en"),
        (",;,=;" * 100 + "zh", "en"),
    ],
)
def test_the_best_language_of_ours_is_chosen(header: str | None, language: str):
    assert language_of(header) == language


@pytest.mark.parametrize("kind", typing.get_args(ContactKind))
def test_every_kind_is_answered_in_both_languages_with_the_limit(kind: ContactKind):
    assert "within 1 working day of" in POLICY.sentence(kind, "en").lower()
    assert "1个工作日内" in POLICY.sentence(kind, "zh")


def test_the_limit_is_in_the_policy_alone():
    slower = FirstAnswer.model_validate(POLICY.model_dump() | {"working_days": 2})
    assert "within 2 working days of" in slower.sentence("complaint", "en").lower()
    assert "2个工作日内" in slower.sentence("complaint", "zh")
