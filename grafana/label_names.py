"""Names for the values of labels: {"orders": "订单"}."""

from __future__ import annotations

from stream_app.core.kpis.risk_bands import BANDS, bounds
from stream_app.i18n import Translator

_SHARED = ("causes", "segments", "stages")  # groups of the catalogue `explanations`


def label_names(translator: Translator, of: str) -> dict[str, str]:
    """Return the names of a label's values, such as those of "topics".

    Causes, segments, stages and risk bands have the same names as in messages and reports.

    >>> label_names(Translator("en", "dashboards"), "bands")["high"]
    'high, 50–75%'
    """
    if of == "bands":
        return {band: translator.risk_band(band, *bounds(band)) for band in BANDS}
    names = dict(translator.group(of)) if of in _SHARED else {}
    return names if of == "stages" else {**names, **translator.group(f"names.{of}")}
