"""Which of several recipes ranks a few architectures as full training does.

Pure functions over scores; a recipe goes by its place, the search's own has place 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

MARGIN = 0.15
"""By how much another recipe's rho must be above that of the search's own.

Simulated with four proxies on 60 networks of MNIST, 8 of them seen, 500 times: without a margin
the choice leaves the best proxy in 45% and loses 0.023 of rho on the other 52; with 0.15 in 2%, and
0.001. The worst it still leaves in 82%, and gains 0.26 of 0.34 (2026-11-22, docs/log.md)."""

SIGNIFICANT = 0.05
"""Chance of such a rho, or a higher one, above which another recipe's ranking is put down to
chance: among recipes that teach nothing, one ranks best all the same."""


class Agreement(NamedTuple):
    """How alike two rankings are."""

    rho: float
    """Spearman's, in [-1, 1]; 0 where it is undefined: no association."""
    rank_distance: float
    """Mean distance of an architecture's two ranks: it tells apart what rho finds equal."""
    p_value: float
    """Chance of such a rho or a higher one, by the t distribution; 1 where rho is undefined."""


def agreement(proxy: Sequence[float | None], full: Sequence[float]) -> Agreement:
    """Compare two scores (N,) of the same architectures; one that failed on the proxy is last."""
    a = stats.rankdata([-math.inf if score is None else score for score in proxy])
    b = stats.rankdata(np.asarray(full, dtype=np.float64))
    distance = float(np.abs(a - b).mean()) if len(a) else 0.0
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Agreement(0.0, distance, 1.0)
    found = stats.spearmanr(a, b, alternative="greater")
    return Agreement(float(found.statistic), distance, float(found.pvalue))


def in_order(found: Mapping[int, Agreement]) -> list[int]:
    """Return the places of recipes, the best first; of equals, the first given."""
    return sorted(found, key=lambda at: (-round(found[at].rho, 9), found[at].rank_distance, at))


def better_half(found: Mapping[int, Agreement]) -> list[int]:
    """Return the search's own recipe and the better half of the others, by place."""
    rivals = [at for at in in_order(found) if at != 0]
    return sorted([0, *rivals[: math.ceil(len(rivals) / 2)]])


def choose(found: Mapping[int, Agreement]) -> int:
    """Return the best recipe if it is clearly better than the search's own, else that.

    Clearly: by MARGIN, and with a ranking that can be told from chance.
    """
    best = in_order(found)[0]
    is_clear = found[best].rho - found[0].rho >= MARGIN - 1e-9
    return best if is_clear and found[best].p_value <= SIGNIFICANT else 0
