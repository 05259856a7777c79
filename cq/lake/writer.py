"""Rows into files: checked, sorted, keyed, and visible only when whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from cq.lake import rules
from cq.lake.datasets import REJECTED, Dataset
from cq.lake.judging import Settling, Target
from cq.lake.landing import land
from cq.lake.origin import Origin


@dataclass(frozen=True)
class WriteReport:
    """What became of the rows: `read == landed + already_there + rejected + replaced`.

    Of those already there, `repeated` repeat others that were handed in with them; of the rejected,
    `contradicting` have a key that the lake held before, with other values. Those counted as
    `replaced` took the place of what was stored, which only `Lake.replace` lets them do.
    """

    read: int = 0
    landed: int = 0
    already_there: int = 0
    rejected: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    contradicting: int = 0
    replaced: int = 0

    @property
    def conflicts(self) -> int:
        """Rows whose key was there with other values."""
        return self.by_rule.get(rules.CONFLICT, 0)

    def __add__(self, other: WriteReport) -> WriteReport:
        """Both together."""
        names = {**self.by_rule, **other.by_rule}
        return WriteReport(
            self.read + other.read,
            self.landed + other.landed,
            self.already_there + other.already_there,
            self.rejected + other.rejected,
            {name: self.by_rule.get(name, 0) + other.by_rule.get(name, 0) for name in names},
            self.repeated + other.repeated,
            self.contradicting + other.contradicting,
            self.replaced + other.replaced,
        )


def write(
    target: Target,
    rejects: Target,
    rows: pl.DataFrame,
    *,
    origin: Origin,
    wait_s: float,
    settling: Settling | None = None,
) -> WriteReport:
    """Land what keeps the rules and is new; keep the rest, with its reasons, in `rejects`.

    What contradicts stored rows is given to `settling` first.
    """
    contract = target.contract
    typed = contract.conform(rows)
    fine = rules.keeps(typed, contract.rules)
    all_fine = bool(fine.all())
    good = typed if all_fine else typed.filter(fine)
    landings = land(target, good, origin, wait_s, settling)
    bad = (
        []
        if all_fine
        else [(rows.filter(~fine), rules.broken(typed.filter(~fine), contract.rules))]
    )
    bad += [
        (one.conflicts, one.conflicts.with_columns(broken=pl.lit([rules.CONFLICT])))
        for one in landings
        if one.conflicts.height
    ]
    for original, reasons in bad:
        keep(rejects, contract, original, reasons, origin, wait_s)
    return WriteReport(
        read=rows.height,
        landed=sum(one.landed for one in landings),
        already_there=sum(one.already_there for one in landings),
        rejected=sum(reasons.height for _, reasons in bad),
        by_rule=_counts(reasons for _, reasons in bad),
        repeated=sum(one.repeated for one in landings),
        contradicting=sum(one.contradicting for one in landings),
        replaced=sum(one.replaced for one in landings),
    )


def _counts(reasons: Iterable[pl.DataFrame]) -> dict[str, int]:
    names = [one.get_column("broken").explode(empty_as_null=False) for one in reasons]
    if not names:
        return {}
    return {str(n): int(k) for n, k in pl.concat(names).value_counts(sort=True).rows()}


def keep(
    rejects: Target,
    contract: Dataset,
    original: pl.DataFrame,
    reasons: pl.DataFrame,
    origin: Origin,
    wait_s: float,
) -> None:
    """Store rejected rows as text, each once; a moment that cannot be is none."""
    rows = reasons.select(
        ts=pl.when(rules.between(contract.time)).then(pl.col(contract.time)),
        dataset=pl.lit(contract.name),
        symbol=pl.col("symbol"),
        exchange=pl.col("exchange"),
        interval=pl.col("interval") if "interval" in reasons.columns else pl.lit(None, pl.String),
        broken=pl.col("broken"),
        row=original.select(as_text(original.schema)).to_series(),
        source=pl.lit(origin.source),
        seen_ts=pl.lit(origin.ingested_ts, pl.Int64),
    )
    land(rejects, REJECTED.conform(rows), origin, wait_s)


def as_text(schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Each row as JSON; one with a NaN or an infinity, which JSON lacks, has its numbers quoted."""
    plain = pl.struct(pl.all()).struct.json_encode()
    floats = [name for name, kind in schema.items() if kind.is_float()]
    if not floats:
        return plain
    quoted = pl.struct(
        pl.col(name).cast(pl.String) if name in floats else pl.col(name) for name in schema
    ).struct.json_encode()
    return (
        pl.when(pl.any_horizontal(~pl.col(name).is_finite() for name in floats))
        .then(quoted)
        .otherwise(plain)
    )
