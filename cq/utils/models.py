"""What the models of settings and of strategies have in common."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

NUMBERS: Final = {int, float}
MANY_BARS: Final = 1_000_000_000
"""A number of bars is no larger: years of seconds have fewer."""


class PlainNumbers(BaseModel):
    """A model whose numbers are numbers: true is none, though Python counts with it as 1."""

    @field_validator("*", mode="before", check_fields=False)
    @classmethod
    def _no_boolean(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name in numbers_of(cls):
            raise PydanticCustomError("number_type", "Input should be a number")
        return value


@cache
def numbers_of(model: type[BaseModel]) -> frozenset[str]:
    """The fields that take numbers and no booleans."""
    kinds = {name: _kinds(field.annotation) for name, field in model.model_fields.items()}
    return frozenset(name for name, of in kinds.items() if of & NUMBERS and bool not in of)


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation allows, those within a union too."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(inner[0])
    if origin in (Union, UnionType):
        return set().union(*(_kinds(one) for one in inner))
    return {annotation}
