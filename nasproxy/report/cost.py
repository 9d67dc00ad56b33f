"""What the search cost, and what training every candidate on the full data would have cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasproxy.report.quality import uniform_sample
from nasproxy.report.record import Records, Verified

LEAST_SECONDS = 0.05
"""Of making a proxy, below which it is not worth a word: real images were only chosen."""


@dataclass(frozen=True)
class Cost:
    """Wall seconds with the workers that were used, ratios of them; None where unknown."""

    search_seconds: float | None
    distill_seconds: float
    calibration_seconds: float | None
    """The choice of a recipe before the search, the trust check's trainings among it; None: there
    was none."""
    trust_seconds: float | None
    """The check of the proxy before the search; None: there was none."""
    verify_seconds: float | None
    verify_top_seconds: float | None
    full_search_seconds: float | None
    full_search_is: str | None
    full_seconds_per_candidate: float | None
    """One full training on one worker."""
    proxy_seconds_per_candidate: float | None
    """All trainings of one candidate on the proxy, on one worker."""
    speedup_search_only: float | None
    speedup_with_distillation: float | None
    speedup_end_to_end: float | None
    break_even_candidates: int | None
    """From which distilling alone has paid for itself."""
    break_even_end_to_end_candidates: int | None
    """From which distilling, checking the proxy and verifying the top candidates have."""


def measure_cost(records: Records) -> Cost:
    """Work out times and speed-ups as the report defines them."""
    run, workers = records.run, records.run.verify_workers
    trained = [v for v in records.verified if v.full_scores]
    full, full_is = _full_search(records, trained)
    search = records.timings.get("search_seconds")
    distill, trust = run.distill_seconds, records.timings.get("trust_seconds")
    calibration = records.timings.get("calibration_seconds")
    checks = (trust or 0.0) + (calibration or 0.0)
    top = sum(v.seconds for v in trained if "top" in v.selected_by) / workers
    gain = _gain_per_candidate(records, full, search)
    proxy_seconds = [c.seconds for c in records.candidates if c.seconds is not None]
    return Cost(
        search_seconds=search,
        distill_seconds=distill,
        calibration_seconds=calibration,
        trust_seconds=trust,
        verify_seconds=sum(v.seconds for v in trained) / workers if trained else None,
        verify_top_seconds=top if trained else None,
        full_search_seconds=full,
        full_search_is=full_is,
        full_seconds_per_candidate=_mean_training(trained),
        proxy_seconds_per_candidate=_mean(proxy_seconds),
        speedup_search_only=_ratio(full, search),
        speedup_with_distillation=_ratio(full, search, distill),
        speedup_end_to_end=_ratio(full, search, distill, checks, top),
        break_even_candidates=_break_even(distill, gain),
        break_even_end_to_end_candidates=_break_even(distill + checks + top, gain),
    )


def timing_sample(trained: Sequence[Verified]) -> list[Verified]:
    """Return whose trainings the mean is over: the uniform sample, or all where there is none."""
    return uniform_sample(trained) or list(trained)


def num_trainable(records: Records) -> int:
    """Count the candidates that a search on the full data would have trained."""
    return sum(candidate.status != "failed" for candidate in records.candidates)


def _full_search(records: Records, trained: Sequence[Verified]) -> tuple[float | None, str | None]:
    mean = _mean_training(trained)
    if mean is None:
        return None, None
    if len(trained) == num_trainable(records):
        per_candidate = [v.seconds / len(v.full_scores) for v in trained]
        return math.fsum(per_candidate) / records.run.verify_workers, "measured"
    return num_trainable(records) * mean / records.run.verify_workers, "estimated"


def _mean_training(trained: Sequence[Verified]) -> float | None:
    sample = timing_sample(trained)
    num_trainings = sum(len(v.full_scores) for v in sample)
    return math.fsum(v.seconds for v in sample) / num_trainings if num_trainings else None


def _gain_per_candidate(records: Records, full: float | None, search: float | None) -> float | None:
    """Return the wall seconds that one candidate on the proxy saves."""
    if full is None or search is None or not records.candidates:
        return None
    return full / max(num_trainable(records), 1) - search / len(records.candidates)


def _break_even(outlay: float, gain: float | None) -> int | None:
    return None if gain is None or gain <= 0 else math.ceil(outlay / gain)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _ratio(full: float | None, search: float | None, *more: float) -> float | None:
    if full is None or search is None or search + sum(more) <= 0:
        return None
    return full / (search + sum(more))
