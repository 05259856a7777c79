"""Who has an account of the local exchange, and with what in it: from options or from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_validator,
)

from cq.errors import ConfigError, UsageError
from cq.sim.accounts import balances_of
from cq.utils.yamls import read_yaml

LOGIN: Final = "local-id"
PASSWORD: Final = "local-secret"  # noqa: S105
"""The key of a local exchange that was given none: published, since it protects nothing."""
START: Final[Mapping[str, Decimal]] = {"BRL": Decimal("100000.00000000")}


@dataclass(frozen=True)
class Holder:
    """Somebody with a key, an account, and what is in it at the start."""

    login: str = LOGIN
    password: str = field(default=PASSWORD, repr=False)
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(START))
    read_only: bool = False


class _Account(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    login: str = Field(LOGIN, min_length=1)
    password: SecretStr = SecretStr(PASSWORD)
    balances: dict[str, str | StrictInt | StrictFloat] = Field(default_factory=dict)
    read_only: bool = False

    @field_validator("balances")
    @classmethod
    def _amounts(cls, found: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(balances_of(f"{asset}={one}" for asset, one in found.items()))
        except UsageError as error:
            raise ValueError(str(error)) from None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: tuple[_Account, ...] = Field(min_length=1)


def holders_of(balances: Sequence[str] = (), file: Path | None = None) -> tuple[Holder, ...]:
    """From `BRL=100000 BTC=0.5` (one account with the usual key), or from a file of accounts.

    Without either: one account with R$ 100,000. UsageError and ConfigError name what is wrong.
    """
    if file is None:
        return (Holder(balances=balances_of(balances)),) if balances else (Holder(),)
    if balances:
        raise UsageError(f"balances are in {file}, or in options; state them in one place")
    document = read_yaml(file)
    try:
        found = _File.model_validate(document.value)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        keys = tuple(str(key) for key in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        place = document.where(tuple(key for key in keys if not key.isdigit()))
        raise ConfigError(place, f"{'.'.join(keys) or 'accounts'}: {said}") from None
    logins = [one.login for one in found.accounts]
    if len(set(logins)) < len(logins):
        raise ConfigError(str(file), "two accounts with one login; give each its own")
    return tuple(
        Holder(one.login, one.password.get_secret_value(), one.balances, one.read_only)  # type: ignore[arg-type]
        for one in found.accounts
    )
