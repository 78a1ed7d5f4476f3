"""Hooks of the documentation site (mkdocs.yml): what readers of the repository need and readers of the site do not."""

from __future__ import annotations

import re
from typing import Any, Final

_OTHER_LANGUAGE: Final = re.compile(r"^\[(?:简体中文|English)\]\([\w.-]+\.md\)\n", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    r"""Return a page without its link to the other language: the site has a menu for it.

    >>> on_page_markdown("# Title\n\n[简体中文](title.zh.md)\n\nText")
    '# Title\n\n\nText'
    """
    return _OTHER_LANGUAGE.sub("", markdown, count=1)
