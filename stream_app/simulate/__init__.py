"""A simulated shop with known hidden causes, in the wire format: for demos, benchmarks and evaluations of causes."""

from __future__ import annotations

from stream_app.simulate.log import simulate, write_log
from stream_app.simulate.shop import ShopSettings
from stream_app.simulate.truth import Truth, truth

__all__ = ["ShopSettings", "Truth", "simulate", "truth", "write_log"]
