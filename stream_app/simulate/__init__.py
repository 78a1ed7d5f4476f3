"""Shop simulator with known hidden causes of churn, for demos, benchmarks and the evaluation of cause inference."""

from stream_app.simulate.log import simulate, write_log
from stream_app.simulate.shop import ShopSettings
from stream_app.simulate.truth import Truth, truth

__all__ = ["ShopSettings", "Truth", "simulate", "truth", "write_log"]
