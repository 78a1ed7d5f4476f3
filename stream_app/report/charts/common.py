"""Parts shared by several charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt

from stream_app.report.drawing import INK, Values, data

Figures = Mapping[str, Any]
SILENCE: Final = "longest_silence_first"
PERCENT: Final = "~%"


def hover(values: Values, x: alt.X, height: int, **more: Any) -> alt.Chart:
    """Return invisible full-height bars that carry the hover texts, taken from the field `tip` of the values."""
    mark = alt.Chart(data(values)).mark_bar(opacity=0, color=INK)
    return mark.encode(x=x, description=alt.Description("tip:N"), y=alt.value(0), y2=alt.value(height), **more)
