"""One sentence a person can act on. It would rather say no, or nothing, than too much."""

from __future__ import annotations

from dataclasses import dataclass

from nasproxy.report.cost import Cost
from nasproxy.report.quality import Quality
from nasproxy.report.statistic import MIN_SAMPLE
from nasproxy.report.wording import (
    by_metric,
    counted,
    duration,
    interval,
    points,
    rho,
    times,
)

MIN_TO_JUDGE = 8
"""Architectures below which a bootstrap interval is too narrow to be believed: four in perfect
order give [1, 1] although one order in 24 is perfect by chance."""

MIN_CEILING = 0.3
"""Agreement of full training with itself below which no proxy can be blamed for disagreeing."""


@dataclass(frozen=True)
class Verdict:
    """Whether searching on this proxy is worth it; None: cannot be told."""

    worth_it: bool | None
    sentence: str


def judge(
    quality: Quality,
    cost: Cost,
    *,
    num_candidates: int,
    num_verified: int,
    num_failed_trainings: int,
    metric: str,
) -> Verdict:
    """Judge a proxy by its ranking first, by its time second.

    Args:
        quality: of its ranking.
        cost: of the search.
        num_candidates: that a full search would have trained; failed ones are none.
        num_verified: that were trained on the full data.
        num_failed_trainings: on the full data.
        metric: that candidates are ranked by, named in the sentence where it is not accuracy.
    """
    verdict = (
        _judge_evidence(quality, num_candidates, num_verified, num_failed_trainings)
        or _judge_ranking(quality)
        or _judge_time(quality, cost, num_candidates)
    )
    judgement, _, reason = verdict.sentence.partition(":")
    return Verdict(verdict.worth_it, f"{judgement}{by_metric(metric)}:{reason}")


def _judge_evidence(
    quality: Quality, num_candidates: int, num_verified: int, num_failed_trainings: int
) -> Verdict | None:
    """Say that there is too little to judge by."""
    n = quality.num_uniform
    if num_candidates == 0:
        return _unknown(
            "no candidate has been scored on the proxy; run `nasproxy search`, or see the "
            "reasons of failed ones in candidates.json."
        )
    if num_verified == 0:
        return _judge_unverified(num_failed_trainings)
    if n < MIN_SAMPLE:
        return _unknown(
            f"{n} uniformly drawn candidates were trained on the full data, and a ranking takes "
            "at least 3 to check; run `nasproxy verify` with --uniform 20."
        )
    if quality.spearman_rho is None:
        return _judge_constant(quality)
    if n < MIN_TO_JUDGE:
        return _unknown(
            f"over {n} uniformly drawn candidates the proxy's rank correlation is "
            f"{rho(quality.spearman_rho)}, but so few can agree or disagree by chance; "
            "run `nasproxy verify` with --uniform 20."
        )
    return None


def _judge_unverified(num_failed_trainings: int) -> Verdict:
    if num_failed_trainings:
        return _unknown(
            f"{counted(num_failed_trainings, 'training')} on the full data failed and none "
            "succeeded, so the proxy's ranking is unchecked; see the reasons in verification.json."
        )
    return _unknown(
        "no candidate was trained on the full data, so the proxy's ranking is unchecked; "
        "run `nasproxy verify` on this folder."
    )


def _judge_constant(quality: Quality) -> Verdict:
    if quality.full_score_spread == 0:
        return _unknown(
            f"all {quality.num_uniform} uniformly drawn candidates are equally good on the full "
            "data, so there is nothing to rank; verify with more --seeds or other --epochs."
        )
    return _no(
        f"the proxy gives all {quality.num_uniform} uniformly drawn candidates the same score."
    )


def _judge_ranking(quality: Quality) -> Verdict | None:
    """Say that the proxy ranks no better than chance, or than counting parameters or FLOPs."""
    assert quality.spearman_rho is not None
    assert quality.spearman_rho_ci is not None
    found = _found(quality)
    if quality.spearman_rho_ci[1] < 0:
        return _no(f"the proxy ranks backwards: its rank correlation is {found}.")
    if quality.spearman_rho_ci[0] <= 0:
        if quality.noise_ceiling is not None and quality.noise_ceiling < MIN_CEILING:
            return _unknown(
                f"full training hardly agrees with itself from seed to seed (rank correlation "
                f"{rho(quality.noise_ceiling)}), so the proxy's {found} proves nothing; verify "
                "with more --seeds or --epochs."
            )
        return _no(
            f"the proxy's ranking cannot be told from chance, its rank correlation with full "
            f"training being {found}."
        )
    for what, free in (
        ("parameters", quality.spearman_rho_params),
        ("FLOPs", quality.spearman_rho_flops),
    ):
        if free is not None and free >= quality.spearman_rho:
            return _no(
                f"counting {what} ranks the candidates at least as well, at no cost: rank "
                f"correlation {rho(free)}, the proxy's is {found}."
            )
    return None


def _judge_time(quality: Quality, cost: Cost, num_candidates: int) -> Verdict:
    """Say whether a proxy that ranks better than chance also saves time."""
    ranks = f"the proxy's rank correlation with full training is {_found(quality)}"
    if cost.speedup_end_to_end is None or cost.full_search_seconds is None:
        return _unknown(f"{ranks}, but the search's time was not recorded.")
    seconds = cost.full_search_seconds / cost.speedup_end_to_end
    if cost.speedup_end_to_end < 1:
        return _no(
            f"{ranks}, but training all {num_candidates} candidates on the full data takes "
            f"{duration(cost.full_search_seconds)} and the way through the proxy took "
            f"{duration(seconds)}; {_pays(cost)}."
        )
    return Verdict(
        True,
        f"Worth it: {ranks}{_beside(quality)}{_missed(quality)}, and the search took "
        f"{duration(seconds)} end to end, {times(cost.speedup_end_to_end)} faster than training "
        f"all {num_candidates} candidates on the full data ({cost.full_search_is}).",
    )


def _found(quality: Quality) -> str:
    return (
        f"{rho(quality.spearman_rho)} (95% interval {interval(quality.spearman_rho_ci)}, "
        f"{counted(quality.num_uniform, 'candidate')})"
    )


def _beside(quality: Quality) -> str:
    if quality.spearman_rho_params is None:
        return ""
    gain = quality.rho_gain_over_params_ci
    clear = "" if gain is not None and gain[0] > 0 else ", too near to be sure of the difference"
    return f", that of the parameter count {rho(quality.spearman_rho_params)}{clear}"


def _missed(quality: Quality) -> str:
    if quality.top_k_regret is None or quality.top_k is None:
        return ""
    whom = "its favourite" if quality.top_k == 1 else f"the best of its {quality.top_k} favourites"
    return f", {whom} is {points(quality.top_k_regret)} below the best"


def _pays(cost: Cost) -> str:
    needed = cost.break_even_end_to_end_candidates
    if needed is None:
        return (
            "a candidate takes at least as long on the proxy as on the full data, so no number of "
            "them pays"
        )
    return f"it pays from about {counted(needed, 'candidate')} on"


def _no(reason: str) -> Verdict:
    return Verdict(False, f"Not worth it: {reason}")


def _unknown(reason: str) -> Verdict:
    return Verdict(None, f"Cannot tell: {reason}")
