"""Neural architecture search on distilled data sets, judged honestly.

The names below are loaded when they are first used: `import nasproxy` loads no torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOMES = {
    "CompareConfig": "config",
    "DataConfig": "config",
    "DataDAMConfig": "config",
    "NasproxyError": "errors",
    "PADConfig": "config",
    "Recipe": "config",
    "RunConfig": "config",
    "SearchConfig": "config",
    "VerifyConfig": "config",
    "allow_code": "permission",
    "compare": "compare.session",
    "decorate_study": "export.dashboard",
    "distill": "distill.session",
    "evaluate_proxy": "verify.quality",
    "export": "export.session",
    "load_dataset": "data.dataset",
    "load_proxy": "proxy.store",
    "load_space": "search.space",
    "make_baseline": "proxy.coreset",
    "report": "report.session",
    "run": "pipeline",
    "save_proxy": "proxy.store",
    "search": "search.session",
    "verify": "verify.session",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a sorted list of strings


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nasproxy' has no attribute {name!r}")
    return getattr(import_module(f"nasproxy.{_HOMES[name]}"), name)


class _Package(ModuleType):
    """Keeps public names public: importing `nasproxy.search` must not hide the function of it."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Bind a name, unless the import system would put a package where a function belongs."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
