"""Write the dashboards that Grafana is provisioned with: `make dashboards`, or `python -m grafana.build`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana.page import PAGES
from grafana.pages import causes, churn_today, quality, service
from grafana.words import LANGUAGES

FOLDER: Final = Path(__file__).parent / "dashboards"
_MAKERS: Final = {
    "churn_today": churn_today.page,
    "causes": causes.page,
    "quality": quality.page,
    "service": service.page,
}


def dashboards() -> dict[str, str]:
    """Return the text of each file by its path below grafana/dashboards."""
    return {f"{lang}/{name.replace('_', '-')}.json": _MAKERS[name](lang).json() for name in PAGES for lang in LANGUAGES}


def write() -> None:
    """Write all files."""
    for name, text in dashboards().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
