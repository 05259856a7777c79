"""Points that a sampler proposes from what came of the ones before: TPE by Optuna."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cq.errors import MissingExtra
from cq.sweeps.figures import Trial
from cq.sweeps.result import LOW
from cq.sweeps.runner import Outcome, Runner
from cq.sweeps.space import Axis


def sought(
    axes: Sequence[Axis], runner: Runner, count: int, seed: int, sort: str
) -> Iterator[Outcome]:
    """The outcomes of `count` proposals, each made after the one before came back.

    What was proposed before is answered from memory and is no outcome again.
    """
    if find_spec("optuna") is None:
        raise MissingExtra("--optuna", "optuna", "optuna")
    optuna: Any = import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize" if sort in LOW else "maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    known: dict[str, float | None] = {}
    for _ in range(count):
        trial = study.ask()
        point = {one.name: _proposed(trial, one) for one in axes}
        key = json.dumps(point, default=str)
        if key not in known:
            (outcome,) = runner.run([(len(known) + 1, point)])
            known[key] = outcome.figures[sort] if isinstance(outcome, Trial) else None
            yield outcome
        if known[key] is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, known[key])


def _proposed(trial: Any, axis: Axis) -> Any:
    """A value of the axis; equal steps are told as such, so that neighbours are known to be."""
    if axis.span:
        return trial.suggest_float(axis.name, *axis.span)
    values = axis.values
    if len(values) > 1 and all(type(one) is int for one in values):
        steps = {b - a for a, b in itertools.pairwise(values)}
        if len(steps) == 1 and (step := steps.pop()) > 0:
            return trial.suggest_int(axis.name, values[0], values[-1], step=step)
    if all(type(one) in (int, float) for one in values) and list(values) == sorted(set(values)):
        return values[trial.suggest_int(axis.name, 0, len(values) - 1)]
    return values[trial.suggest_categorical(axis.name, range(len(values)))]
