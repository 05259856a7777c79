"""The root of the tree, and what belongs to no room."""

from __future__ import annotations


class CqError(Exception):
    """The root: carries the exit code that a command ends with."""

    exit_code = 1


class CheckFailed(CqError):
    """A check ran to its end and found problems."""


class UsageError(CqError):
    """Wrong usage: arguments that make no sense together."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, variable or option that cannot be used."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class StrategyError(UsageError):
    """A strategy file that cannot be used."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class DataError(CqError):
    """Data that is missing or broken."""

    exit_code = 3


class RiskStopped(CqError):
    """A risk rule stopped the work."""

    exit_code = 5
