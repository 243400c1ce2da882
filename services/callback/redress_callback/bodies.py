"""What agents send to callback."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from redress_callback.domain.attempt import Attempt
from redress_callback.domain.own import Satisfaction
from redress_chassis import Body, Words


class AttemptBody(Body):
    """reached: somebody spoke with the customer; then `solved` and `satisfaction`, 1 (very dissatisfied) to 5 (very satisfied), are what
    they said."""

    reached: bool
    solved: bool | None = None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None
    words: Words | None = None
    note: Words | None = None

    @model_validator(mode="after")
    def _answered_if_reached(self) -> Self:
        if self.reached and (self.solved is None or self.satisfaction is None):
            raise ValueError("If the customer was reached, give both solved and satisfaction.")
        if not self.reached and any(value is not None for value in (self.solved, self.satisfaction, self.words)):
            raise ValueError("If the customer was not reached, leave out solved, satisfaction and words.")
        return self

    def command(self) -> Attempt:
        if self.solved is None or self.satisfaction is None:
            return Attempt(note=self.note)
        return Attempt(Satisfaction(self.solved, self.satisfaction, self.words), self.note)
