"""How each number was got, and what to mind."""

from __future__ import annotations

from nasproxy.compare.cost import EQUAL_COST
from nasproxy.compare.judgement import Judgement
from nasproxy.compare.predictor import NUM_CHOICES
from nasproxy.report.verdict import MIN_TO_JUDGE
from nasproxy.report.wording import counted


def write_notes(judgement: Judgement) -> list[str]:
    """List them."""
    seeds = counted(judgement.num_seeds, "seed")
    notes = [
        f"Truth: mean validation {judgement.metric} of full training over {seeds}. rho is "
        "Spearman's, ties at their mean rank; tau-b is Kendall's.",
        "One draw is one proxy with one seed, or a score with one seed; its statistics are means "
        "over the draws, ± their standard deviation. The average of several draws costs as many "
        "times as much. Costs are of one draw.",
        f"Intervals: 95% percentile bootstrap, {judgement.num_resamples} resamples of "
        "architectures, of their seeds of full training, and of draws, moved by as much as "
        "redrawing seeds and draws moved the mean (their noise is in the data already), except for "
        "regret and precision, which have few values. Draws "
        "that share their images count as independent, so they say little of other images.",
        "A single draw leaves its own chance out of the interval: what another draw would give "
        "is not known.",
        "Candidates that all draws of a contestant failed on rank last; of equals the smaller is "
        "chosen.",
        "Regret: best mean full score minus the best among the favourites, in percentage points; "
        "both are read off the same noisy scores. In a resample each repeat of an architecture "
        "counts as a candidate of its own; intervals of a maximum hold less than 95%.",
        "Within the true top the range is restricted: these correlations are lower than over all "
        "and must not be compared with them; intervals are over the few there.",
        f"Paired tests: same resamples for both, two-sided, no p below "
        f"{2 / (judgement.num_resamples + 1):.2g}. The cheaper one's draws are averaged until "
        f"costs are nearest; equal cost is within a ratio of {EQUAL_COST}. Holm's correction is "
        "over the verdict's pairs: synthetic proxies against random images, parameter count and "
        "early stopping, and the best against the next best. Which contestants are the best was "
        "found on the same data, which flatters them a little.",
        "Bias: mean rank by the contestant (average of its draws) minus mean rank by full training "
        "(highest is best). R2: share of the squared rank errors that the levels explain by "
        "least squares; adjusted: less what they would by chance.",
        f"Predictor: {NUM_CHOICES} random choices of the verified; an architecture is never "
        "predicted by a model that saw it. Its interval is over choices only, not architectures.",
        "Seconds are of the processor on a CPU, on the wall on a GPU. Speed-up: one full training "
        "of each candidate against one draw.",
    ]
    if judgement.num_seeds < 2:
        notes.append("No noise ceiling: it takes two seeds of full training (--truth-seeds 2).")
    else:
        notes.append(
            "Noise ceiling: mean Spearman between two seeds of full training. Attainable: square "
            "root of the reliability of the mean over seeds times that of the contestant's mean "
            "over its draws (Spearman-Brown); with a single draw the latter counts as 1. A share "
            "of the ceiling above 1 is possible, the mean over seeds being steadier than one."
        )
    if judgement.num_architectures < MIN_TO_JUDGE:
        notes.append(
            f"Fewer than {MIN_TO_JUDGE} architectures: bootstrap intervals are too narrow to be "
            "believed."
        )
    return notes
