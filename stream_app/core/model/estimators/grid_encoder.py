"""One-hot encoding of numbers by the cells of grids."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any

import numpy as np
from river import base, utils

from stream_app.core.arrays import Floats, Ints

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoDataFrame

Axis = tuple[str, tuple[float, ...]]  # feature, ascending edges between its cells
Grid = tuple[Axis, ...]


class GridEncoder(base.MiniBatchTransformer):
    """One-hot encodes numeric features by the cells of grids, over one feature or over several that are crossed.

    A linear model on cells learns steps, and with crossed features also interactions. A grid has one axis for each of
    its features; an axis with n edges has n + 1 cells, and a value that equals an edge lies above it. Cells are named
    after the features and the numbers of their cells, as with `preprocessing.OneHotEncoder`; crossed ones are joined
    with `*`, as with `compose.TransformerProduct`.

    Features without a grid are dropped. A row that lacks a feature of a grid has no cell on that grid, so all cells of
    it are 0: an unknown value is in no cell. `transform_one` leaves out the cells that are 0.

    Parameters
    ----------
    grids
        Each grid is a tuple of axes, each axis a feature with the ascending edges between its cells.

    Examples
    --------

    >>> encoder = GridEncoder(
    ...     (("age", (18.0, 65.0)),),
    ...     (("age", (40.0,)), ("income", (10.0, 100.0))),
    ... )
    >>> encoder.transform_one({"age": 65.0, "income": 50.0, "city": "Bern"})
    {'age_2': 1, 'age_1*income_1': 1}
    >>> encoder.transform_one({"age": 17.0})
    {'age_0': 1}

    It also supports mini-batches. All cells are columns then.

    >>> import pandas as pd
    >>> encoder = GridEncoder((("age", (18.0, 65.0)),))
    >>> encoder.transform_many(pd.DataFrame({"age": [17.0, 30.0]}))
       age_0  age_1  age_2
    0      1      0      0
    1      0      1      0

    """

    def __init__(self, *grids: Grid) -> None:
        self.grids = grids
        names = [_cell_names(grid) for grid in grids]
        self.cells = tuple(name for block in names for name in block)  # names of all cells, grid after grid
        if len(set(self.cells)) < len(self.cells):
            raise ValueError("two grids have the same features: their cells would have the same names")
        self._first = [0, *accumulate(map(len, names))][: len(grids)]  # place of each grid's first cell
        axes = list(dict.fromkeys(axis for grid in grids for axis in grid))
        self._axes = [(feature, np.array(edges)) for feature, edges in axes]
        self._grids = [[axes.index(axis) for axis in grid] for grid in grids]

    def transform_one(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """Return the cells in which a row lies, each with the value 1."""
        found: dict[Any, Any] = {}
        for grid, first in zip(self.grids, self._first, strict=True):
            if all(feature in x for feature, _ in grid):
                place = 0
                for feature, edges in grid:
                    place = place * (len(edges) + 1) + bisect_right(edges, x[feature])
                found[self.cells[first + place]] = 1
        return found

    def transform_many(self, X: IntoDataFrame) -> IntoDataFrame:
        """Return a dataframe with a column of 0 and 1 for each cell."""
        frame = utils.dataframe.into_frame(X)
        used = {feature for grid in self.grids for feature, _ in grid}
        names = [name for name in frame.columns if name in used]
        table = utils.dataframe.to_numpy(frame.select(names)) if names else np.zeros((len(frame), 0))
        encoded = self.encode(dict(zip(names, table.T, strict=True)), len(frame))
        return utils.dataframe.to_native_frame(encoded.astype(np.uint8), columns=self.cells, like=frame)

    def places(self, columns: Mapping[str, Floats], rows: int) -> Ints:
        """Return the cell of each row on each grid, as places in `cells`, shape (rows, number of grids).

        Parameters
        ----------
        columns
            Values of features, each of shape (rows,). The place on a grid of which a feature is missing is -1.
        rows
            Number of rows.

        """
        places = np.full((rows, len(self._grids)), -1, dtype=np.int64)
        found = [
            len(edges) - (np.ascontiguousarray(columns[feature]) < edges[:, None]).sum(axis=0)  # as bisect_right
            if feature in columns
            else None
            for feature, edges in self._axes
        ]
        for number, (axes, first) in enumerate(zip(self._grids, self._first, strict=True)):
            place = found[axes[0]]
            for axis in axes[1:]:
                cells, other = len(self._axes[axis][1]) + 1, found[axis]
                place = None if place is None or other is None else place * cells + other
            if place is not None:
                places[:, number] = place + first
        return places

    def encode(self, columns: Mapping[str, Floats], rows: int) -> Floats:
        """Return 0 or 1 for each row and cell, shape (rows, number of cells); arguments as for `places`."""
        table = np.zeros((rows, len(self.cells) + 1))
        np.put_along_axis(table, self.places(columns, rows), 1.0, axis=1)  # -1 is the last column
        return table[:, :-1]


def _cell_names(grid: Grid) -> list[str]:
    axes = [[f"{feature}_{cell}" for cell in range(len(edges) + 1)] for feature, edges in grid]
    return ["*".join(parts) for parts in product(*axes)]
