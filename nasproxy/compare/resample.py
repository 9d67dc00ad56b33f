"""One bootstrap for all statistics: the same architectures and seeds drawn for every contestant.

Each resample draws architectures, and for each of them its seeds of full training, and of each
contestant its draws, all with replacement. Noise of seeds and draws is in the measured scores
already and drawing adds it a second time, which would pull every correlation down, and more so
that of a contestant with several draws than of one with a single draw. The distribution is
therefore moved by as much as redrawing seeds and draws moved its mean; its width stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nasproxy.compare.draw import averages
from nasproxy.compare.sample import Order, Sample, weighted_average
from nasproxy.config import Config
from nasproxy.report.statistic import (
    LEVEL,
    MIN_SAMPLE,
    NUM_RESAMPLES,
    Interval,
    RowStatistic,
    Scores,
)

Statistic = Callable[[Scores, Scores, Order], Scores]
"""Takes scores, full scores and which architectures they are of, each (B, N); returns (B,), or
(B, L) where `Bootstrap.distribution` alone is asked."""


class Estimate(Config):
    """A statistic and its 95% bootstrap interval; None where undefined."""

    value: float | None = None
    interval: Interval | None = None


class Bootstrap:
    """Resamples of a sample, drawn once."""

    def __init__(self, sample: Sample, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> None:
        """Draw `num_resamples` times N architectures and their seeds."""
        self.sample = sample
        self.num_resamples = num_resamples
        self.seed = seed
        generator = np.random.default_rng(seed)
        chosen = generator.integers(len(sample), size=(num_resamples, len(sample)))
        self.chosen: Order = np.sort(chosen, axis=1)
        self.settled: Scores = sample.truth[self.chosen]
        self.truth = _draw_seeds(sample.seeds, self.chosen, generator)

    def estimate(
        self,
        table: Scores,
        statistic: Statistic,
        *,
        num_draws: int | None = None,
        bounds: Interval | None = (-1.0, 1.0),
    ) -> Estimate:
        """Return a statistic of the average of `num_draws` draws, with its interval.

        Args:
            table: a contestant's scores, (R, N).
            statistic: of rows.
            num_draws: averaged before ranking, 1 to R; R where it is None. Below R the statistic
                is a mean over choices of draws.
            bounds: between which the statistic lies; None to leave the distribution where it is,
                for one of a few values only, which cannot be moved.
        """
        value = point(self.sample, table, statistic, num_draws)
        if value is None:
            return Estimate()
        values = self.distribution(table, statistic, num_draws=num_draws, bounds=bounds)
        return Estimate(value=value, interval=interval_of(values))

    def distribution(
        self,
        table: Scores,
        statistic: Statistic,
        *,
        num_draws: int | None = None,
        bounds: Interval | None = (-1.0, 1.0),
    ) -> Scores:
        """Return the bootstrap distribution (B,) of `estimate`; an undefined value counts as 0."""
        again, once = [], []
        for redrawn, drawn in self._weights(len(table), num_draws or len(table)):
            again.append(self._values(table, redrawn, self.truth, statistic))
            if bounds is not None:
                once.append(self._values(table, drawn, self.settled, statistic))
        values: Scores = np.mean(again, axis=0)
        if bounds is None:
            return values
        moved: Scores = values - values.mean(axis=0) + np.mean(once, axis=(0, 1))
        return moved.clip(*bounds)

    def _values(
        self, table: Scores, weights: Scores, truth: Scores, statistic: Statistic
    ) -> Scores:
        scores = np.broadcast_to(weighted_average(table, weights), truth.shape)
        rows = np.take_along_axis(scores, self.chosen, axis=1)
        return np.nan_to_num(statistic(rows, truth, self.chosen), nan=0.0)

    def _weights(self, total: int, num_draws: int) -> Iterator[tuple[Scores, Scores]]:
        """Yield weights (B, R) of groups of draws: with replacement, and without."""
        if total == 1:
            yield np.ones((1, 1)), np.ones((1, 1))
            return
        generator = np.random.default_rng((self.seed, total, num_draws))
        places = np.tile(np.arange(total), (self.num_resamples, 1))
        shuffled = generator.permuted(places, axis=1)
        drawn = generator.integers(total, size=places.shape)
        # below R, groups go round the draws, so that each has the same say, as in `point`
        for first in range(1 if num_draws == total else total):
            group = np.arange(first, first + num_draws) % total
            yield _shares(drawn[:, group], total), _shares(shuffled[:, group], total)


def point(
    sample: Sample, table: Scores, statistic: Statistic, num_draws: int | None = None
) -> float | None:
    """Return a statistic over the whole sample, a mean over choices of draws.

    None where it is undefined for all of them; for some, these count as 0.
    """
    if len(sample) < MIN_SAMPLE:
        return None
    everyone = np.arange(len(sample))[None]
    rows = [averaged[None] for averaged in averages(table, num_draws)]
    values = np.array([statistic(row, sample.truth[None], everyone)[0] for row in rows])
    return None if np.isnan(values).all() else float(np.nan_to_num(values, nan=0.0).mean())


def of_scores(statistic: RowStatistic) -> Statistic:
    """Return a statistic that asks for scores alone."""
    return lambda scores, full, _: statistic(scores, full)


def interval_of(values: Scores) -> Interval:
    """Return the 95% percentile interval of a bootstrap distribution (B,)."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _shares(chosen: Order, total: int) -> Scores:
    """Return how large a part of each row's choices (B, r) each of R draws is, (B, R)."""
    counts = (chosen[..., None] == np.arange(total)).sum(axis=1)
    return np.asarray(counts / chosen.shape[1], dtype=np.float64)


def _draw_seeds(seeds: Scores, chosen: Order, generator: np.random.Generator) -> Scores:
    """Return mean full scores (B, N) over as many seeds, drawn anew, as each one has."""
    num_seeds = np.isfinite(seeds).sum(axis=1)
    count = num_seeds[chosen][..., None]
    slot = np.arange(seeds.shape[1])
    drawn = (generator.random((*chosen.shape, len(slot))) * count).astype(np.int64)
    values = np.where(slot < count, seeds[chosen[..., None], drawn], 0.0)
    return np.asarray(values.sum(axis=2) / count[..., 0], dtype=np.float64)
