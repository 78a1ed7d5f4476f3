"""How well the classifier of complaint texts separates unhappy from happy customers in real reviews.

    python -m benchmarks.replay.review_texts ../shared/data/online_shopping_10_cats.csv.gz

No log holds complaints that staff have filed. Instead, the classifier learns reviews of ten categories of a Chinese
shop, which are labelled as good or bad: 80 % of each category once, in random order. The other 20 % judge it.
"""

from __future__ import annotations

import csv
import gzip
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.core.model.complaint_texts import ComplaintTexts
from stream_app.core.model.evaluation_metrics import Scored, roc_auc
from stream_app.core.state.complaint_kinds import TextReading

UNHAPPY, HAPPY = "unhappy", "happy"
LEARNED_SHARE: Final = 0.8
Filed = tuple[TextReading, str]


@dataclass(frozen=True)
class Figures:
    """Quality on reviews that were not learned, and the cost of a text."""

    learned: int
    judged: int
    auc: float
    read_us: float  # per text
    learn_us: float  # per text

    def __str__(self) -> str:
        cost = f"reading {self.read_us:.0f} µs and learning {self.learn_us:.0f} µs per text"
        return f"ROC-AUC {self.auc:.4f} on {self.judged:,} reviews after {self.learned:,}; {cost}"


def judged_reviews(file: Path, seed: int = 1) -> Figures:
    """Learn 80 % of each category once, and judge the rest.

    Args:
        file: CSV, compressed by gzip, with the columns cat, label (1: good) and review.
        seed: seed of the split and of the order.
    """
    rng, read, started = np.random.default_rng(seed), complaint_reader().read, time.perf_counter()
    by_category: dict[str, list[Filed]] = defaultdict(list)
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            by_category[row["cat"]].append((read(row["review"]), HAPPY if row["label"] == "1" else UNHAPPY))
    reading = time.perf_counter() - started
    learned, judged = list[Filed](), list[Filed]()
    for filed in by_category.values():
        mixed = [filed[place] for place in rng.permutation(len(filed)).tolist()]
        cut = round(len(mixed) * LEARNED_SHARE)
        learned += mixed[:cut]
        judged += mixed[cut:]
    texts, started = ComplaintTexts([UNHAPPY, HAPPY]), time.perf_counter()
    for place in rng.permutation(len(learned)).tolist():
        texts.learn(*learned[place])
    learning = time.perf_counter() - started
    unhappy = np.array([label == UNHAPPY for _, label in judged])
    auc = roc_auc(Scored(unhappy, np.array([texts.probabilities(one)[UNHAPPY] for one, _ in judged])))
    return Figures(
        len(learned), len(judged), auc, 1e6 * reading / (len(learned) + len(judged)), 1e6 * learning / len(learned)
    )


def main(file: Annotated[Path, typer.Argument(help="The reviews.")]) -> None:
    """Print the ROC-AUC and the cost per text."""
    print(judged_reviews(file))


if __name__ == "__main__":
    typer.run(main)
