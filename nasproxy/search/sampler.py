"""Optuna's samplers for a study that remembers only its finished trials, in their order."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler

from nasproxy.config import SearchConfig
from nasproxy.errors import ConfigError

MAX_POPULATION = 20
GP_OF_SEVERAL = (4, 4)
"""Optuna's version whose Gaussian process first knew several objectives."""


def build_sampler(config: SearchConfig, seed: int) -> BaseSampler:
    """Build the sampler of one proposal: `tpe`, `gp` or `nsga2`.

    `gp` and `nsga2` relate the parameters that every architecture has; those that exist only under
    conditions they draw uniformly. `gp` is told that scores are free of noise: else it would ask
    for architectures whose score is known, and a study evaluates none twice.
    """
    seed %= 2**32
    if config.sampler == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return GPSampler(
                seed=seed,
                n_startup_trials=1,
                deterministic_objective=True,
                warn_independent_sampling=False,
            )
    if config.sampler == "nsga2":
        return NSGAIISampler(seed=seed, population_size=_population(config))
    return TPESampler(seed=seed, n_startup_trials=0)


def check_sampler(config: SearchConfig) -> None:
    """Check that the sampler of this Optuna knows several objectives, where there are some.

    Raises:
        ConfigError: it does not.
    """
    version = tuple(int(part) for part in optuna.__version__.split(".")[:2])
    if config.sampler == "gp" and config.costs and version < GP_OF_SEVERAL:
        raise ConfigError(
            f"sampler gp takes one objective in Optuna {optuna.__version__}, got "
            f"{','.join(config.objectives)}: use --sampler tpe, or Optuna 4.4"
        )


def describe_place(config: SearchConfig, index: int) -> dict[str, Any]:
    """Return what a sampler wants to read in the index-th scored trial: NSGA-II its generation.

    The study's memory holds copies of trials, so what the sampler wrote into them is lost; with as
    many scored trials a generation as the population has, in order, no copy needs more.
    """
    if config.sampler != "nsga2":
        return {}
    return {NSGAIISampler._get_generation_key(): index // _population(config)}


def _population(config: SearchConfig) -> int:
    """Return the size of a generation: the uniformly drawn trials are the first."""
    return max(2, min(MAX_POPULATION, config.num_uniform()))
