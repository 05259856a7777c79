"""Loops over bars that no expression can say."""

from cq.indicators.kernels.compiling import Kernel, compiled, filled, kernel
from cq.indicators.kernels.means import (
    adaptive,
    chained,
    crossing,
    line_crossing,
    mean_range,
    running_mean,
    strength,
    true_strength,
)
from cq.indicators.kernels.states import directional, parabolic, trailing_band
from cq.indicators.kernels.windows import (
    bars_since_highest,
    channel_index,
    lower_share,
    weighted,
)

__all__ = [
    "Kernel",
    "adaptive",
    "bars_since_highest",
    "chained",
    "channel_index",
    "compiled",
    "crossing",
    "directional",
    "filled",
    "kernel",
    "line_crossing",
    "lower_share",
    "mean_range",
    "parabolic",
    "running_mean",
    "strength",
    "trailing_band",
    "true_strength",
    "weighted",
]
