"""docs/indicators.md lists what there is; run as a script, this rewrites it."""

from __future__ import annotations

from pathlib import Path

from cq.indicators import REGISTRY

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "indicators.md"
MARK = "<!-- from here on written by `python tests/indicators/test_document.py` -->\n"


def tables() -> str:
    """One table a family."""
    found = []
    for family in sorted({one.family for one in REGISTRY.values()}):
        found += [f"\n### {family.capitalize()}\n"]
        found += ["| call | what it is | gives | range | warm-up |"]
        found.append("|---|---|---|---|---|")
        for one in sorted(REGISTRY.values(), key=lambda one: one.name):
            if one.family == family:
                given = [*one.inputs, *(f"{k}={v}" for k, v in one.parameters.items())]
                first = one.doc.splitlines()[0].replace("|", "\\|")
                low, high = ("" if bound is None else f"{bound:g}" for bound in one.bounds)
                bars = one.warmup(bar="1h")
                found.append(
                    f"| `{one.name}({', '.join(given)})` | {first} | {', '.join(one.outputs)} "
                    f"| {low}…{high} | {'all' if bars is None else bars} |"
                )
    return "\n".join(found) + "\n"


def test_the_document_lists_what_there_is():
    assert DOCUMENT.read_text("utf-8").split(MARK)[1] == tables()


if __name__ == "__main__":
    kept = DOCUMENT.read_text("utf-8").split(MARK)[0]
    DOCUMENT.write_text(kept + MARK + tables(), encoding="utf-8")
