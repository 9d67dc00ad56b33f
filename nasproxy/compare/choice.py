"""What choosing by a score costs: regret and precision, of rows of a bootstrap.

A resample holds some architectures several times. Each stands for a candidate of its own, so k of N
remain as large a part as they are of the sample; with repeats left out, k would be a larger part of
fewer, and regret would look smaller than it is.
"""

from __future__ import annotations

import numpy as np

from nasproxy.report.statistic import Scores

CHOSEN = (1, 5, 10)
"""How many favourites are verified."""


def regret_rows(scores: Scores, full: Scores, k: int) -> Scores:
    """Return the full score lost by verifying the k favourites of each row, (B,), >= 0.

    Args:
        scores: to choose by, (B, N); of equals the first is taken.
        full: (B, N).
        k: favourites; a row with no more candidates loses nothing.
    """
    favourites = _favourites(scores, full, k)
    return np.asarray(full.max(axis=1) - favourites.max(axis=1), dtype=np.float64)


def precision_rows(scores: Scores, full: Scores, k: int) -> Scores:
    """Return the share of each row's k favourites that are no worse than its k-th best, (B,)."""
    threshold = np.sort(full, axis=1)[:, -k][:, None]
    hits = _favourites(scores, full, k) >= threshold
    return np.asarray(hits.mean(axis=1), dtype=np.float64)


def _favourites(scores: Scores, full: Scores, k: int) -> Scores:
    """Return the full scores of the favourites, (B, k)."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(full, best, axis=1)
