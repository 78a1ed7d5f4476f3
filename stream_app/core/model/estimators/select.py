"""Selection of features that a row may lack."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
from river import base, utils

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoDataFrame


class SelectWithDefault(base.MiniBatchTransformer):
    """Selects features as `compose.Select` does, but gives those that a row lacks a default value.

    `compose.Select` raises KeyError instead. The features come out in the order of `keys`, whatever the order of the
    row, so that sums over them are the same to the last bit. Other features are dropped.

    Parameters
    ----------
    keys
        Features to keep.
    default
        Value of a feature that a row lacks.

    Examples
    --------

    >>> select = SelectWithDefault("price", "rating", default=-1.0)
    >>> select.transform_one({"rating": 4.5, "city": "Bern"})
    {'price': -1.0, 'rating': 4.5}

    It also supports mini-batches.

    >>> import pandas as pd
    >>> select.transform_many(pd.DataFrame({"rating": [4.5, 3.0], "city": ["Bern", "Basel"]}))
       price  rating
    0   -1.0     4.5
    1   -1.0     3.0

    """

    def __init__(self, *keys: Hashable, default: float = 0.0) -> None:
        self.keys = keys
        self.default = default

    def transform_one(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """Return the selected features of a row."""
        return {key: x.get(key, self.default) for key in self.keys}

    def transform_many(self, X: IntoDataFrame) -> IntoDataFrame:
        """Return the selected columns of a dataframe."""
        frame = utils.dataframe.into_frame(X)
        absent = np.full(len(frame), self.default)
        selected = {key: frame.get_column(key).to_numpy() if key in frame.columns else absent for key in self.keys}
        return utils.dataframe.to_native_frame(selected, like=frame)
