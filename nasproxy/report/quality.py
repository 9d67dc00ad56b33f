"""How far the proxy's ranking can be trusted, over the uniform sample alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasproxy.report.record import Verified
from nasproxy.report.statistic import (
    Interval,
    Scores,
    attainable_rho,
    bootstrap_interval,
    kendall,
    noise_ceiling,
    partial_spearman,
    precision_at_k,
    spearman,
    spearman_rows,
    top_k_regret,
)

TOP_K = 5


@dataclass(frozen=True)
class Quality:
    """Rank statistics of a proxy by the run's metric; None where undefined."""

    num_uniform: int
    num_seeds: int
    """Full trainings per architecture: the most that any of the sample has."""
    spearman_rho: float | None
    spearman_rho_ci: Interval | None
    kendall_tau: float | None
    spearman_rho_params: float | None
    spearman_rho_params_ci: Interval | None
    spearman_rho_flops: float | None
    spearman_rho_flops_ci: Interval | None
    spearman_rho_given_params: float | None
    rho_gain_over_params_ci: Interval | None
    """Of the proxy's rho minus the parameter count's, on the same resamples."""
    full_score_spread: float | None
    """Best minus worst full score of the sample: what there is to tell apart."""
    noise_ceiling: float | None
    attainable_rho: float | None
    top_k: int | None
    top_k_regret: float | None
    precision_at_k: float | None


def uniform_sample(verified: Sequence[Verified]) -> list[Verified]:
    """Return what correlations may be taken over; of equals on the proxy, the smaller first."""
    sample = [v for v in verified if "uniform" in v.selected_by and v.full_scores]
    return sorted(sample, key=lambda v: (v.candidate.num_params, v.candidate.trial))


def measure_quality(verified: Sequence[Verified]) -> Quality:
    """Compare the proxy, and two scores that cost nothing, with full training."""
    sample = uniform_sample(verified)
    proxy = [v.proxy_score for v in sample]
    params = [float(v.candidate.num_params) for v in sample]
    flops = [float(v.candidate.num_flops) for v in sample]
    full = [v.full_score for v in sample]
    per_seed = [v.full_scores for v in sample]
    num_seeds = max((len(row) for row in per_seed), default=0)
    ceiling = noise_ceiling(per_seed)
    k = min(TOP_K, len(sample) // 2) or None
    return Quality(
        num_uniform=len(sample),
        num_seeds=num_seeds,
        spearman_rho=spearman(proxy, full),
        spearman_rho_ci=bootstrap_interval(proxy, per_seed),
        kendall_tau=kendall(proxy, full),
        spearman_rho_params=spearman(params, full),
        spearman_rho_params_ci=bootstrap_interval(params, per_seed),
        spearman_rho_flops=spearman(flops, full),
        spearman_rho_flops_ci=bootstrap_interval(flops, per_seed),
        spearman_rho_given_params=partial_spearman(proxy, full, params),
        rho_gain_over_params_ci=_gain_interval(proxy, params, per_seed),
        full_score_spread=max(full) - min(full) if full else None,
        noise_ceiling=ceiling,
        attainable_rho=None if ceiling is None else attainable_rho(ceiling, num_seeds),
        top_k=k,
        top_k_regret=None if k is None else top_k_regret(proxy, full, k),
        precision_at_k=None if k is None else precision_at_k(proxy, full, k),
    )


def _gain_interval(
    proxy: Sequence[float], params: Sequence[float], per_seed: Sequence[Sequence[float]]
) -> Interval | None:
    """Return the interval of how much better than the parameter count the proxy ranks."""
    scores = np.array([proxy, params], dtype=np.float64)

    def gain(chosen: Scores, full: Scores) -> Scores:
        ours, theirs = scores[:, chosen.astype(np.int64)]
        return spearman_rows(ours, full) - spearman_rows(theirs, full)

    return bootstrap_interval(np.arange(len(proxy)), per_seed, gain)
