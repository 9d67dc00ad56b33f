"""How well one contestant ranks, with intervals over architectures, seeds and draws."""

from __future__ import annotations

from functools import partial

import numpy as np

from nasproxy.compare.choice import CHOSEN, precision_rows, regret_rows
from nasproxy.compare.cost import Cost, measure_cost
from nasproxy.compare.draw import Averaged, agreement, averages, rho_by_num_draws
from nasproxy.compare.noise import Noise
from nasproxy.compare.record import Comparison, Contestant
from nasproxy.compare.resample import (
    Bootstrap,
    Estimate,
    Statistic,
    interval_of,
    of_scores,
    point,
)
from nasproxy.compare.sample import Order, Sample, measure_of
from nasproxy.config import Config
from nasproxy.report.statistic import (
    RowStatistic,
    Scores,
    kendall_rows,
    partial_spearman_rows,
    spearman_rows,
    tie_share,
)

TOPS = (10, 20)
"""Sizes of the true top within which ranking is looked at."""


class Within(Config):
    """Ranking among the k best by mean full score: range-restricted, so lower than over all."""

    k: int
    spearman: Estimate
    kendall: Estimate


class AtK(Config):
    """What verifying the k favourites gives; regret is a fraction of the metric."""

    k: int
    precision: Estimate
    regret: Estimate
    regret_of_one_draw: float | None


class Standing(Config):
    """A contestant's statistics; of the average of all its draws unless said otherwise."""

    name: str
    kind: str
    measure: str
    num_draws: int
    num_failed: int
    """Candidates that all draws failed on; they rank last."""
    spearman: Estimate
    spearman_of_one_draw: Estimate
    averaged: tuple[Averaged, ...]
    """Rho of one draw, of the average of two, and so on."""
    kendall: Estimate
    within: tuple[Within, ...]
    at_k: tuple[AtK, ...]
    given_params: Estimate
    """Partial rank correlation given log parameter count."""
    share_of_ceiling: Estimate
    """Rho divided by seed-against-seed agreement; can be above 1, a mean being steadier."""
    own_agreement: float | None
    """Mean Spearman between two draws of the contestant."""
    attainable: float | None
    """The highest rho that noise leaves room for, the contestant's own included where known."""
    tie_share: float | None
    """Of architectures that share their score with another in one draw, in [0, 1]."""
    cost: Cost

    @property
    def rho(self) -> float | None:
        """Spearman's rho of one draw, the mean over the draws: what its cost buys."""
        return self.spearman_of_one_draw.value


class Measured(Config):
    """A contestant ranked by one of its measures."""

    name: str
    measure: str
    spearman: Estimate
    spearman_of_one_draw: float | None
    tie_share: float | None


def measure_standing(
    bootstrap: Bootstrap,
    noise: Noise,
    comparison: Comparison,
    contestant: Contestant,
    *,
    measure: str | None,
    num_candidates: int,
) -> Standing:
    """Rank by a contestant and see how well that is.

    Args:
        bootstrap: of the sample that the contestant ranks.
        noise: of full training.
        comparison: for costs.
        contestant: to look at.
        measure: to rank by where the contestant has it.
        num_candidates: that a search would rank, for costs.
    """
    sample, chosen = bootstrap.sample, measure_of(contestant, measure)
    table = sample.scores_of(contestant, chosen)
    rank = of_scores(spearman_rows)
    value = point(sample, table, rank)
    values = None if value is None else bootstrap.distribution(table, rank)
    rho = Estimate() if values is None else Estimate(value=value, interval=interval_of(values))
    own = agreement(table)
    return Standing(
        name=contestant.name,
        kind=contestant.kind,
        measure=chosen,
        num_draws=len(table),
        num_failed=int(np.isnan(table).all(axis=0).sum()),
        spearman=rho,
        spearman_of_one_draw=rho
        if len(table) == 1
        else bootstrap.estimate(table, rank, num_draws=1),
        averaged=rho_by_num_draws(sample, table),
        kendall=bootstrap.estimate(table, of_scores(kendall_rows)),
        within=_within(bootstrap, table),
        at_k=_at_k(bootstrap, table),
        given_params=bootstrap.estimate(table, _given_params(sample)),
        share_of_ceiling=noise.share_of_ceiling(rho, values),
        own_agreement=own,
        attainable=noise.attainable_by(own, len(table)),
        tie_share=tie_share_of_one_draw(table),
        cost=measure_cost(comparison, contestant, num_candidates),
    )


def measure_all(bootstrap: Bootstrap, contestant: Contestant) -> list[Measured]:
    """Rank by each measure of a contestant in turn."""
    tables = {
        name: bootstrap.sample.scores_of(contestant, name)
        for name in contestant.replicates[0].measures
        if all(name in draw.measures for draw in contestant.replicates)
    }
    return [
        Measured(
            name=contestant.name,
            measure=name,
            spearman=bootstrap.estimate(table, of_scores(spearman_rows)),
            spearman_of_one_draw=rho_by_num_draws(bootstrap.sample, table)[0].rho,
            tie_share=tie_share_of_one_draw(table),
        )
        for name, table in tables.items()
    ]


def tie_share_of_one_draw(table: Scores) -> float | None:
    """Return the mean over the draws (R, N) of how many architectures are tied."""
    shares = [tie_share(scores) for scores in averages(table, 1)]
    defined = [share for share in shares if share is not None]
    return float(np.mean(defined)) if defined else None


def _within(bootstrap: Bootstrap, table: Scores) -> tuple[Within, ...]:
    """Look at the true top alone, resampling its own architectures."""
    sample, found = bootstrap.sample, []
    for k in (k for k in TOPS if k < len(sample)):
        top = np.sort(np.argsort(-sample.truth, kind="stable")[:k])
        part = Bootstrap(sample.take(top), bootstrap.num_resamples, bootstrap.seed)
        rho = part.estimate(table[:, top], of_scores(spearman_rows))
        tau = part.estimate(table[:, top], of_scores(kendall_rows))
        found.append(Within(k=k, spearman=rho, kendall=tau))
    return tuple(found)


def _at_k(bootstrap: Bootstrap, table: Scores) -> tuple[AtK, ...]:
    return tuple(
        AtK(
            k=k,
            precision=_of_favourites(bootstrap, table, partial(precision_rows, k=k)),
            regret=_of_favourites(bootstrap, table, partial(regret_rows, k=k)),
            regret_of_one_draw=_regret_of_one_draw(bootstrap.sample, table, k),
        )
        for k in CHOSEN
        if k < len(bootstrap.sample)
    )


def _of_favourites(bootstrap: Bootstrap, table: Scores, statistic: RowStatistic) -> Estimate:
    return bootstrap.estimate(table, of_scores(statistic), bounds=None)


def _regret_of_one_draw(sample: Sample, table: Scores, k: int) -> float:
    rows = [regret_rows(scores[None], sample.truth[None], k) for scores in averages(table, 1)]
    return float(np.mean(rows))


def _given_params(sample: Sample) -> Statistic:
    """Return the partial rank correlation; ranks of a count are those of its logarithm."""

    def statistic(scores: Scores, full: Scores, which: Order) -> Scores:
        return partial_spearman_rows(scores, full, sample.params[which])

    return statistic
