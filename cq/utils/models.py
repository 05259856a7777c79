"""What the models of settings and of strategies have in common."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

NUMBERS: Final = {int, float}
MANY_BARS: Final = 1_000_000_000
"""A number of bars is no larger: years of seconds have fewer."""


def path_said(value: object, expected: str = "the path of a file") -> object:
    """`value`, refused in our words where it is no path: pydantic's name its own insides."""
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise ValueError(f"found {value!r}, expected {expected}")
    return value


FilePath = Annotated[Path, BeforeValidator(path_said)]


class PlainNumbers(BaseModel):
    """A model whose numbers are numbers: true is none, though Python counts with it as 1."""

    @field_validator("*", mode="before", check_fields=False)
    @classmethod
    def _no_boolean(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name in numbers_of(cls):
            raise PydanticCustomError("number_type", "Input should be a number")
        return value


class Frozen(PlainNumbers):
    """A part of the settings: it stays as it was checked, and has no keys but its own."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


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
