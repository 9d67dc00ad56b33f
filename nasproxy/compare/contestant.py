"""Contestants as people name them: texts and tables into settings, checked before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from nasproxy.compare.training import MEASURES
from nasproxy.config import (
    EARLY_RECIPE,
    SEARCH_RECIPE,
    CompareConfig,
    ContestantConfig,
    Recipe,
    full_recipe,
)
from nasproxy.config.compare import DRAWS
from nasproxy.errors import ConfigError, unknown_name
from nasproxy.proxy.coreset import SELECTIONS
from nasproxy.proxy.store import MANIFEST_FILE
from nasproxy.scores.named import SCORES

Kind = Literal["proxy", "early", "reduced", "score"]
SOFT = "random-soft"
PROXIES = (*SELECTIONS, SOFT, "synthetic", "full")
BY_CHANCE = ("random", SOFT)
"""Proxies whose images are chosen at random: one draw of them says little."""
RECIPE_OPTIONS = ("epochs", "lr")
OPTIONS = ("labels", "draws", "seeds", "ipc", "measure", *RECIPE_OPTIONS)
EXACT = ("params", "flops")
"""Scores that leave nothing to chance."""


def read_contestants(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Read `A,B,...` texts: names, folders, NAME=SOURCE, and options of what stands before.

    `random,labels=soft,draws=5,pad=runs/pad` are two contestants, the first with two options.

    Raises:
        ConfigError: a part is empty, or an option has nothing before it.
    """
    found: list[dict[str, Any]] = []
    for text in texts:
        for part in text.split(","):
            word, equals, value = (piece.strip() for piece in part.partition("="))
            if not word or (equals and not value):
                raise ConfigError(
                    f"a contestant is NAME, DIR or NAME=DIR, got {part!r} (--proxies)"
                )
            if equals and word in OPTIONS:
                if not found:
                    raise ConfigError(f"{part} must follow a contestant (--proxies)")
                place = found[-1].setdefault("recipe", {}) if word in RECIPE_OPTIONS else found[-1]
                place[word] = _number(value)
            else:
                found.append({"source": value, "name": word} if equals else {"source": word})
    return found


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def name_of(contestant: ContestantConfig) -> str:
    """Return what a contestant is called."""
    return contestant.name or Path(contestant.source).name


def kind_of(contestant: ContestantConfig) -> Kind:
    """Say what a contestant does.

    Raises:
        ConfigError: its source is neither known nor a folder; the message lists the choices.
    """
    source = contestant.source
    if source == "early":
        return "early"
    if source == "reduced":
        return "reduced"
    if source in SCORES:
        return "score"
    if source in PROXIES or (Path(source) / MANIFEST_FILE).exists():
        return "proxy"
    if Path(source).is_dir() or "/" in source:
        raise ConfigError(f"{source} is no proxy: it has no {MANIFEST_FILE} (--proxies)")
    choices = (*PROXIES, "early", "reduced", *SCORES)
    raise ConfigError(unknown_name("contestant", source, choices) + ", or the folder of a proxy")


def num_draws(contestant: ContestantConfig) -> int:
    """Return how many proxies a contestant draws."""
    return contestant.draws or (DRAWS if contestant.source in BY_CHANCE else 1)


def num_seeds(contestant: ContestantConfig, default: int) -> int:
    """Return how often a draw is measured; what leaves nothing to chance is measured once."""
    return 1 if contestant.source in EXACT else contestant.seeds or default


def recipe_of(contestant: ContestantConfig, config: CompareConfig, num_images: int) -> Recipe:
    """Return how a contestant trains candidates, where the full data has `num_images`.

    Early stopping scores on as many validation images as in a search, unless told otherwise.

    Raises:
        ConfigError: a setting that it changes is unknown or out of range.
    """
    base = full_recipe(num_images) if contestant.source == "full" else config.recipe
    if contestant.source == "early" and base.validation_images == SEARCH_RECIPE.validation_images:
        base = base.replace(validation_images=EARLY_RECIPE.validation_images)
    where = f"contestants.{name_of(contestant)}.recipe"
    return Recipe.parse({**base.to_dict(), **contestant.recipe}, where)


def check_contestants(config: CompareConfig) -> None:
    """Refuse contestants that are unknown or share a name, options that do nothing, unknown sums.

    Raises:
        ConfigError: naming the contestant.
    """
    if not config.contestants:
        raise ConfigError("no contestant is named: use --proxies, such as random,early,params")
    for contestant in config.contestants:
        kind, name = kind_of(contestant), name_of(contestant)
        idle = [] if kind == "proxy" else ["labels", "draws"]
        idle += ["ipc", "recipe"] if kind == "score" else []
        unused = [option for option in idle if getattr(contestant, option)]
        if unused:
            raise ConfigError(f"contestant {name} ({kind}) has no use for {', '.join(unused)}")
        measures = ("score",) if kind == "score" else MEASURES
        if contestant.measure not in (None, *measures):
            what = f"measure of contestant {name}"
            raise ConfigError(unknown_name(what, str(contestant.measure), measures))
    names = Counter(map(name_of, config.contestants))
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(
            f"two contestants are called {twice[0]!r}: give one another name, as in "
            f"{twice[0]}-2={twice[0]} (--proxies)"
        )
    for sum_of in members_of(config.sums):
        for name in sum_of:
            if name not in names:
                raise ConfigError(unknown_name("contestant in a sum", name, names) + " (--sums)")


def members_of(sums: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Read `A+B` texts, of two names or more.

    Raises:
        ConfigError: one is not of that form.
    """
    found = []
    for text in sums:
        names = tuple(piece.strip() for piece in text.split("+"))
        if len(names) < 2 or not all(names):
            raise ConfigError(f"a sum of ranks is A+B, got {text!r} (--sums)")
        found.append(names)
    return tuple(found)
