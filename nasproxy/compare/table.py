"""The tables of a judgement, as plain text cells; how they are drawn is left to the format."""

from __future__ import annotations

from collections.abc import Sequence

from nasproxy.compare.cost import NUM_VERIFIED
from nasproxy.compare.judgement import Judgement
from nasproxy.compare.pairing import Pairing
from nasproxy.compare.predictor import Prediction
from nasproxy.compare.resample import Estimate
from nasproxy.compare.standing import Standing
from nasproxy.compare.wording import draws, signed
from nasproxy.report.statistic import Interval
from nasproxy.report.table import Table
from nasproxy.report.wording import UNKNOWN, count, duration, interval, percent, rho, times


def all_tables(judgement: Judgement) -> list[Table]:
    """List those that have rows, what matters most first."""
    tables = [
        ranking_table(judgement),
        pair_table(judgement),
        choice_table(judgement),
        top_table(judgement),
        noise_table(judgement),
        cost_table(judgement),
        measure_table(judgement),
        bias_table(judgement),
        averaging_table(judgement),
        prediction_table(judgement),
    ]
    return [table for table in tables if table.rows]


def by_rank(judgement: Judgement) -> list[Standing]:
    """Return the standings, the best single draw first, undefined ones last."""
    return sorted(judgement.standings, key=lambda s: -2.0 if s.rho is None else s.rho, reverse=True)


def ranking_table(judgement: Judgement) -> Table:
    """List how well each contestant ranks and what one draw costs."""
    rows = [
        (
            standing.name,
            standing.measure,
            _one_draw(standing),
            interval(standing.spearman_of_one_draw.interval),
            _average(standing),
            rho(standing.kendall.value),
            duration(standing.cost.seconds_per_candidate),
            duration(standing.cost.setup_seconds),
        )
        for standing in by_rank(judgement)
    ]
    header = ("contestant", "by", "rho, one draw", "95% interval", "rho, averaged", "tau-b",
              "a candidate", "setup")  # fmt: skip
    return Table(f"Ranking ({judgement.num_architectures} architectures)", header, rows)


def pair_table(judgement: Judgement) -> Table:
    """List the paired tests, the verdict's own first."""
    header = ("contestant", "against", "rho", "theirs", "difference", "95% interval", "p", "Holm p",
              "their cost", "outcome")  # fmt: skip
    rows = [_pair_cells(pairing) for pairing in judgement.pairings]
    return Table("Paired tests at costs as equal as can be", header, rows)


def choice_table(judgement: Judgement) -> Table:
    """List what verifying a few favourites gives; regret in points of the metric."""
    header = (
        "contestant",
        *(f"{what} at {k}" for k in _ks(judgement) for what in ("regret", "precision")),
    )
    rows = [
        (
            standing.name,
            *(cell for at in standing.at_k for cell in (_points(at.regret), _share(at.precision))),
        )
        for standing in by_rank(judgement)
    ]
    return Table(
        "Regret in points and precision, verifying the best k",
        header,
        rows if _ks(judgement) else [],
    )


def top_table(judgement: Judgement) -> Table:
    """List how the true top is ranked: range-restricted, so lower than over all."""
    sizes = [within.k for within in judgement.standings[0].within] if judgement.standings else []
    header = ("contestant", *(f"{what} in top {k}" for k in sizes for what in ("rho", "tau-b")))
    rows = [
        (
            standing.name,
            *(cell for w in standing.within for cell in (_rho(w.spearman), _rho(w.kendall))),
        )
        for standing in by_rank(judgement)
    ]
    return Table("Within the true top (range-restricted)", header, rows if sizes else [])


def noise_table(judgement: Judgement) -> Table:
    """List correlations beside what noise and size leave room for."""
    rows = [
        (
            standing.name,
            _rho(standing.share_of_ceiling),
            rho(standing.own_agreement),
            rho(standing.attainable),
            _rho(standing.given_params),
            percent(standing.tie_share, 0),
            count(standing.num_failed),
        )
        for standing in by_rank(judgement)
    ]
    header = ("contestant", "share of ceiling", "draw against draw", "attainable", "given params",
              "tied", "failed")  # fmt: skip
    ceiling = _rho(judgement.noise_ceiling)
    return Table(f"Against noise and size (seed against seed: {ceiling})", header, rows)


def cost_table(judgement: Judgement) -> Table:
    """List what one draw costs for the candidates compared and for the whole space."""
    n, space = judgement.num_candidates, judgement.space_size
    verified = f"best {NUM_VERIFIED} trained in full, too"
    header = ("contestant", f"{n:,} candidates", "no setup", "speed-up", "no setup", verified,
              f"space of {space:,}", "speed-up", verified, "pays against full from",
              "against best cheaper from")  # fmt: skip
    rows = [_cost_cells(judgement, standing) for standing in by_rank(judgement)]
    return Table(
        f"Cost of one draw (one full training: {duration(judgement.full_seconds)})", header, rows
    )


def measure_table(judgement: Judgement) -> Table:
    """List how each contestant would rank by its other measures."""
    rows = [
        (m.name, m.measure, rho(m.spearman_of_one_draw), _rho(m.spearman), percent(m.tie_share, 0))
        for m in judgement.measures
    ]
    header = ("contestant", "by", "rho, one draw", "rho, averaged", "tied")
    return Table("What to rank by", header, rows)


def bias_table(judgement: Judgement) -> Table:
    """List whom each contestant favours, in ranks."""
    rows = [
        (
            bias.name if place == 0 else "",
            f"{level.factor} {level.level}",
            count(level.num_architectures),
            signed(level.lift.value, 1),
            _signed_interval(level.lift.interval),
            _rho(level.spearman),
            percent(bias.explained, 0) if place == 0 else "",
            percent(bias.explained_adjusted, 0) if place == 0 else "",
        )
        for bias in judgement.biases
        for place, level in enumerate(bias.levels)
    ]
    header = ("contestant", "level", "n", "lift", "95% interval", "rho within", "R2", "adjusted")
    title = f"Bias: ranks of {judgement.num_architectures} too high (+) or too low (-)"
    return Table(title, header, rows)


def averaging_table(judgement: Judgement) -> Table:
    """List the rho of one draw, of the average of two, and so on."""
    rows = [
        (
            standing.name if averaged.num_draws == 1 else "",
            str(averaged.num_draws),
            rho(averaged.rho),
            UNKNOWN if averaged.spread is None else f"{averaged.spread:.3f}",
        )
        for standing in by_rank(judgement)
        if standing.num_draws > 1
        for averaged in standing.averaged
    ]
    return Table("Averaging draws", ("contestant", "draws", "rho", "std over choices"), rows)


def prediction_table(judgement: Judgement) -> Table:
    """List what a predictor makes of a few verified architectures."""
    rows = [_prediction_cells(prediction) for prediction in judgement.predictions]
    header = ("on top of", "model", "verified", "rho of the rest", "before", "gain",
              "cross-fitted")  # fmt: skip
    return Table("A predictor on top (95% of choices of the verified)", header, rows)


def _one_draw(standing: Standing) -> str:
    spread = standing.averaged[0].spread
    beside = "" if spread is None else f" ±{spread:.2f}"
    return f"{rho(standing.rho)}{beside}"


def _average(standing: Standing) -> str:
    if standing.num_draws == 1:
        return ""
    return f"{_rho(standing.spearman)} of {standing.num_draws}"


def _pair_cells(pairing: Pairing) -> tuple[str, ...]:
    low, high = pairing.difference.interval or (0.0, 0.0)
    cost = UNKNOWN if pairing.cost_ratio is None else times(pairing.cost_ratio)
    return (
        f"{pairing.ours}{draws(pairing.our_draws)}",
        f"{pairing.theirs}{draws(pairing.their_draws)}",
        rho(pairing.our_rho),
        rho(pairing.their_rho),
        signed(pairing.difference.value, 3),
        f"{signed(low, 3)} to {signed(high, 3)}",
        f"{pairing.p_value:.3f}",
        UNKNOWN if pairing.holm_p is None else f"{pairing.holm_p:.3f}",
        f"{cost} (equal)" if pairing.is_equal_cost else cost,
        pairing.outcome,
    )


def _cost_cells(judgement: Judgement, standing: Standing) -> tuple[str, ...]:
    cost = standing.cost
    rival = judgement.best_cheaper(standing)
    pays = UNKNOWN if rival is None else f"{_pays(rival[1])}, {rival[0]}"
    return (
        standing.name,
        duration(cost.total_seconds),
        duration(cost.total_seconds_without_setup),
        times(cost.speedup),
        times(cost.speedup_without_setup),
        times(cost.speedup_end_to_end),
        duration(cost.space_seconds),
        times(cost.space_speedup),
        times(cost.space_speedup_end_to_end),
        _pays(cost.break_even_full),
        pays,
    )


def _prediction_cells(prediction: Prediction) -> tuple[str, ...]:
    gain = prediction.gain
    gained = (
        "" if gain.value is None else f"{signed(gain.value)} ({_signed_interval(gain.interval, 2)})"
    )
    return (
        prediction.name,
        prediction.model,
        str(prediction.num_verified),
        _rho(prediction.rho),
        rho(prediction.rho_before) if prediction.rho_before is not None else "",
        gained,
        rho(prediction.rho_cross_fitted),
    )


def _pays(candidates: int | None) -> str:
    return "never" if candidates is None else count(candidates)


def _ks(judgement: Judgement) -> Sequence[int]:
    return [at.k for at in judgement.standings[0].at_k] if judgement.standings else []


def _rho(estimate: Estimate) -> str:
    if estimate.value is None:
        return UNKNOWN
    return f"{rho(estimate.value)} ({interval(estimate.interval)})"


def _points(estimate: Estimate) -> str:
    if estimate.value is None or estimate.interval is None:
        return UNKNOWN
    low, high = (100 * value for value in estimate.interval)
    return f"{100 * estimate.value:.2f} ({low:.2f} to {high:.2f})"


def _share(estimate: Estimate) -> str:
    if estimate.value is None or estimate.interval is None:
        return UNKNOWN
    low, high = estimate.interval
    return f"{estimate.value:.0%} ({low:.0%} to {high:.0%})"


def _signed_interval(value: Interval | None, digits: int = 1) -> str:
    if value is None:
        return UNKNOWN
    return f"{signed(value[0], digits)} to {signed(value[1], digits)}"
