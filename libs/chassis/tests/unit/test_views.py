"""Views that take their fields from attributes."""

from dataclasses import dataclass

import pytest
from pydantic import BaseModel, ValidationError

from redress_chassis import filled


@dataclass(frozen=True)
class Jar:
    size: int
    lid: str
    secret: str = "not shown"

    @property
    def full(self) -> bool:
        return self.size > 1


class JarView(BaseModel):
    size: int
    full: bool
    lid: str | None


def test_a_view_shows_the_attributes_of_its_fields_and_no_others():
    assert filled(JarView, Jar(2, "red")).model_dump() == {"size": 2, "full": True, "lid": "red"}


def test_what_is_given_wins_and_need_not_be_an_attribute():
    assert filled(JarView, Jar(1, "red"), lid=None).lid is None
    assert filled(JarView, object(), size=1, full=False, lid="red").size == 1


def test_a_field_that_is_nowhere_and_a_value_that_does_not_fit_are_defects():
    with pytest.raises(AttributeError, match="full"):
        filled(JarView, object(), size=1, lid="red")
    with pytest.raises(ValidationError):
        filled(JarView, Jar(1, "red"), size="large")
