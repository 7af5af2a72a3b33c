"""What the tests of components/scaling share: the configuration as shipped, written out, so that params.yaml may change."""

from components.scaling.config import ExtrapolationConfig, SurfaceConfig

SURFACE = SurfaceConfig(
    exponent_min=0.02,
    exponent_max=2.0,
    huber_sd=1.345,
    outlier_sd=6.0,
    diverged_excess=0.25,
    max_left_out_share=0.2,
    scatter_level=0.2,
    shared_length=2.0,
    huber_delta=1e-3,
    starts_kept=8,
    warn_compute_ratio=10.0,
    drift_per_decade=0.006,
)
CONFIG = ExtrapolationConfig(confidence=0.95, exponent_min=0.01, exponent_max=1.5, surface=SURFACE, pooling_level=0.25)
