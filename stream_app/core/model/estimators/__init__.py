"""River estimators that are not in River: they compose in River pipelines and pass River's own checks.

>>> from river import checks
>>> checks.check_estimator(MBGNBDClassifier())
"""

from __future__ import annotations

from stream_app.core.model.estimators.grid_encoder import GridEncoder
from stream_app.core.model.estimators.mbg_nbd import MBGNBDClassifier, mbg_nbd_log_odds
from stream_app.core.model.estimators.recursive_logistic import RecursiveLogisticRegression
from stream_app.core.model.estimators.scaling import learn_scale, scale_of
from stream_app.core.model.estimators.select import SelectWithDefault

__all__ = [
    "GridEncoder",
    "MBGNBDClassifier",
    "RecursiveLogisticRegression",
    "SelectWithDefault",
    "learn_scale",
    "mbg_nbd_log_odds",
    "scale_of",
]
