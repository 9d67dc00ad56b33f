"""How far apart two points of a search space are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasproxy.search.space import Params, SearchSpace, is_ordered

_ABSENT = -1.0


class PointDistances:
    """The distances of points: summed over the parameters, each between 0 and 1.

    Numbers differ by their ranks, the smallest and the largest by 1; other values differ or not;
    a parameter that only one of two points has counts 1.
    """

    def __init__(self, space: SearchSpace, points: Sequence[Params]) -> None:
        self._choices = space.choices
        self._places = np.array([self._place(point) for point in points])  # (P, D)

    def from_point(self, point: Params) -> NDArray[np.float64]:
        """Return the distances of all points, (P,), from one, which need not be among them."""
        place = np.array(self._place(point))
        apart = np.abs(self._places - place)
        absent = (self._places == _ABSENT) | (place == _ABSENT)
        unordered = np.array([not is_ordered(values) for values in self._choices.values()])
        distances: NDArray[np.float64] = np.where(absent | unordered, apart != 0, apart).sum(axis=1)
        return distances

    def _place(self, point: Params) -> list[float]:
        """Return the rank of each value, scaled to 0 to 1."""
        return [
            values.index(point[name]) / max(1, len(values) - 1) if name in point else _ABSENT
            for name, values in self._choices.items()
        ]
