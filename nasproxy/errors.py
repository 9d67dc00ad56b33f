"""Errors that a user can act on: one line naming the value, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasproxyError(Exception):
    """Base of every error that is the user's to mend (exit code 2, no traceback)."""


class ConfigError(NasproxyError):
    """A setting is unknown, out of range, or contradicts another."""


class DataError(NasproxyError):
    """A data set is missing, unreadable, or not what it should be."""


class ArtifactError(NasproxyError):
    """A proxy or run folder is corrupt, foreign, or cannot be written."""


class SearchSpaceError(NasproxyError):
    """A search space is malformed or does not fit the data."""


class EvaluationError(NasproxyError):
    """A candidate could not be trained or scored."""


class DataWarning(UserWarning):
    """Something about a data set that its owner should know, though work goes on."""


MOST_CHOICES = 1000
"""Characters of a list of choices."""


def shown(value: object, most: int = 300) -> str:
    """Return a value as Python writes it, control characters escaped, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def unknown_name(what: str, name: str, choices: Iterable[str], *, or_else: str = "") -> str:
    """Say that `name` is unknown, list the choices, what else is taken, and the nearest choice."""
    known = sorted(choices)
    listed = ", ".join(known)
    if len(listed) > MOST_CHOICES:  # those of a stranger's file
        listed = f"{listed[:MOST_CHOICES]}... ({len(known):,} in all)"
    other = f", or {or_else}" if or_else else ""
    return f"unknown {what} {shown(name)}: choose from {listed}{other}{nearest(name, known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that comes nearest to `name`; nothing where none is near."""
    near = difflib.get_close_matches(name[:100], list(known), n=1)
    return f"; did you mean {shown(near[0])}?" if near else ""
