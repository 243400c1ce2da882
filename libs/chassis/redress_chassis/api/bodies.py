"""Request bodies and their fields: unknown names refused, types as strict as JSON's own, times with a zone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from fastapi import Path
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import json_or_python_schema, no_info_after_validator_function, no_info_wrap_validator_function

from redress_chassis.api.texts import line, lines
from redress_spine.processing.skips import WHY_LENGTH, checked_why, seems_personal

View = TypeVar("View", bound=BaseModel)
LEAST_REASON = 20  # characters: room for a ticket and a sentence
EARLIEST, LATEST = 1900, 2200  # years; beyond them times are typing errors, and some cannot be turned into UTC


def checked_reason(text: str) -> str:
    """A reason in clear: enough of it, on one line, and nothing that looks like a customer's data. Raises ValueError."""
    reason = checked_why(text)
    if len(reason) < LEAST_REASON:
        raise ValueError(f"The reason has {len(reason)} characters, and {LEAST_REASON} at least are asked for: a ticket and a sentence.")
    return reason


@dataclass(frozen=True, slots=True)
class Form:
    """How a text is written: a pattern of the whole for programs, in the OpenAPI document, and a sentence for people, in the error."""

    pattern: str
    sentence: str
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.pattern))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if not self._compiled.fullmatch(text):
            raise PydanticCustomError("string_pattern_mismatch", "{sentence}", {"sentence": self.sentence})
        return text


def _in_words(value: object) -> object:
    # pydantic would take 1700000000 and "1700000000" for times as well.
    if not isinstance(value, datetime) and (not isinstance(value, str) or "-" not in value[1:]):
        raise ValueError("A time is written like 2026-03-02T12:00:00+08:00.")
    return value


def _of_our_age(moment: datetime) -> datetime:
    if not EARLIEST < moment.year < LATEST:
        raise ValueError(f"A time must be between {EARLIEST} and {LATEST}.")
    return moment


def _in_clear(text: str) -> str:
    if seems_personal(text):
        raise ValueError("This is kept in clear: write a name without a phone number or an e-mail address.")
    return text


Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(line)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000), AfterValidator(lines)]
# What stands in clear on the log: the name of something, with no room for a customer's own words.
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(line), AfterValidator(_in_clear)
]
# Why somebody does what is seldom right: kept in clear forever.
Reason = Annotated[str, Field(min_length=LEAST_REASON, max_length=WHY_LENGTH), AfterValidator(checked_reason)]
Moment = Annotated[AwareDatetime, Strict(False), BeforeValidator(_in_words), AfterValidator(_of_our_age)]
SubjectId = Annotated[UUID, Path(description="The id, as creating it answered.")]


class Body(BaseModel):
    """What the bodies of requests and answers have in common."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """FastAPI hands over Python's objects, and there pydantic's strictness is another: a text is no time, a list no tuple.
        So they go through JSON once more, which is strict as JSON is."""
        plain = handler(source)

        def as_json(value: Any, python: ValidatorFunctionWrapHandler) -> Any:
            if type(value) is not dict:
                return python(value)
            try:
                checked = cls.model_validate_json(orjson.dumps(value, default=_plain))
            except OverflowError:
                raise PydanticCustomError("out_of_range", "A number or time is out of range.") from None
            return python(_Checked({name: getattr(checked, name) for name in checked.model_fields_set}))

        return json_or_python_schema(json_schema=plain, python_schema=no_info_wrap_validator_function(as_json, plain))


def filled(view: type[View], source: object, **other: Any) -> View:
    """A view whose fields are the attributes of the same names, but for those that are given here."""
    return view(**{name: getattr(source, name) for name in _names(view) if name not in other}, **other)


@cache
def _names(view: type[BaseModel]) -> tuple[str, ...]:
    return tuple(view.model_fields)


class _Checked(dict[str, Any]):
    """Values that went through JSON."""


def _plain(value: object) -> object:
    """Bodies that are made in Python: answers, and tests."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError
