"""The classifier of complaint texts on real reviews, which are kept beside the recorded logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.replay.review_texts import judged_reviews

REVIEWS = "online_shopping_10_cats.csv.gz"
FLOOR = 0.965


@pytest.mark.slow
def test_unhappy_customers_are_told_from_happy_ones(data_dir: Path) -> None:
    if not (data_dir / REVIEWS).is_file():
        pytest.skip(f"no {REVIEWS} in {data_dir}")
    found = judged_reviews(data_dir / REVIEWS)
    assert found.judged == pytest.approx(0.2 * (found.learned + found.judged), rel=0.01)
    assert found.auc >= FLOOR
