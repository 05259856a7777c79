"""Named features, put together in pipelines; labels for learning, kept apart."""

from cq.features.labels import LABELS, with_label
from cq.features.pipelines import Pipeline, Step
from cq.features.registry import FEATURES, Feature, feature, named

__all__ = [
    "FEATURES",
    "LABELS",
    "Feature",
    "Pipeline",
    "Step",
    "feature",
    "named",
    "with_label",
]
