"""Whether a strategy sees the future, or needs more history than it says."""

from cq.checks.history import Dependence, at_fault, dependences
from cq.checks.lookahead import Difference, leaks
from cq.checks.plans import Suspicion, is_opaque, suspicions

__all__ = [
    "Dependence",
    "Difference",
    "Suspicion",
    "at_fault",
    "dependences",
    "is_opaque",
    "leaks",
    "suspicions",
]
