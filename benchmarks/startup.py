"""How long the command line takes to start, against bare Python."""

from __future__ import annotations

import sys

from measure import in_turn, report

if __name__ == "__main__":
    python = sys.executable
    runs = in_turn(
        {
            "bare Python": [python, "-c", "pass"],
            "cq --help": [python, "-m", "cq", "--help"],
            "cq lake --help": [python, "-m", "cq", "lake", "--help"],
            "cq --version": [python, "-m", "cq", "--version"],
        },
        times=15,
    )
    report("start-up, whole processes (limit: 10× bare Python)", runs, "bare Python")
