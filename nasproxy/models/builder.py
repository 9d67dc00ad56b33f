"""Networks that a function of the user's makes: `MODULE:FUNCTION`, imported only where allowed.

Spaces and runs come from strangers, and importing a module runs it: see `nasproxy.permission`.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import torch
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from torch import Tensor, nn

from nasproxy._files import sha256_of
from nasproxy.config import Config
from nasproxy.errors import ConfigError, SearchSpaceError, shown, unknown_name
from nasproxy.permission import code_folders

BUILDER = "builder"
"""Family of such architectures: `{"family": "builder", "builder": "nets:make", "depth": 3}`."""
MAX_NAME = 200
PROBE_CLASSES = 7
"""Classes of the network that is tried out; no data set's, so that no fixed number passes."""


def _check_name(name: str) -> str:
    module, _, function = name.partition(":")
    parts = [*module.split("."), function]
    if len(name) > MAX_NAME or not all(part.isidentifier() for part in parts):
        raise ValueError(f"must be MODULE:FUNCTION, as in mypkg.nets:make, got {shown(name, 80)}")
    return name


BuilderName = Annotated[str, AfterValidator(_check_name)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BuilderConfig(Config):
    """A point of a space whose networks a function makes; all else that is set is the function's.

    Attributes:
        builder: `MODULE:FUNCTION`.
        builder_sha256: of the module's file; None: any content will do.
    """

    model_config = ConfigDict(extra="allow")

    builder: BuilderName
    builder_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        for name in ("image_shape", "num_classes"):
            if name in self.settings:
                raise ValueError(f"{name} is given by the data: call the setting otherwise")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the function is called with, beside the shape of images and number of classes."""
        return dict(self.model_extra or {})

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Refuse images (C, H, W) that this network cannot take; nothing is computed.

        Raises:
            ConfigError: the function raises, or its network gives no logits (N, K).
            SearchSpaceError: the function may not or cannot be imported.
        """
        sha256 = load_builder(self.builder, self.builder_sha256).sha256
        known = self.model_copy(update={"builder_sha256": sha256})
        if fault := _find_fault(known.model_dump_json(), tuple(image_shape)):
            raise ConfigError(fault)

    def told(self) -> str:
        """Name the function and its settings."""
        return f"builder {self.builder!r} with {shown(self.settings, 120)}"


class Builder(NamedTuple):
    """A function that makes networks, the file that it is from, and that file's sha256."""

    make: Callable[..., Any]
    path: Path
    sha256: str


def load_builder(name: str, sha256: str | None = None) -> Builder:
    """Import a function, if this process may.

    Args:
        name: `MODULE:FUNCTION`.
        sha256: that the module's file must have before it is imported; None: any.

    Raises:
        SearchSpaceError: it may not or cannot be imported, or is other code than is wanted.
    """
    folders = code_folders()
    if not folders:
        raise SearchSpaceError(
            f"builder {name!r} is code that would be run: read it, and if you trust it, add "
            "--allow-code (of search, run, verify, compare and export; nasproxy.allow_code() in "
            "Python)"
        )
    module, _, function = name.partition(":")
    path, found = _locate(module, folders)
    if sha256 not in (None, found):
        raise SearchSpaceError(
            f"builder {name!r} is other code than it was: {path} has sha256 {found[:12]} instead "
            f"of {str(sha256)[:12]}; restore the file, or search anew with another --out"
        )
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise SearchSpaceError(
            f"builder {name!r}: importing {path} failed: {_reason(error, path)}"
        ) from error
    make = getattr(loaded, function, None)
    if make is None:
        own = [n for n, v in vars(loaded).items() if getattr(v, "__module__", None) == module]
        raise SearchSpaceError(unknown_name(f"function of {path}", function, own))
    if not callable(make):
        raise SearchSpaceError(
            f"builder {name!r} must be a function, got {type(make).__name__} {shown(make, 80)}"
        )
    return Builder(make, path, found)


def check_code(architectures: Iterable[Mapping[str, Any]]) -> None:
    """Refuse, before anything is trained, architectures whose code may not or cannot be imported.

    Raises:
        ConfigError: the name is none.
        SearchSpaceError: as `load_builder`.
    """
    for architecture in architectures:
        if architecture.get("family") == BUILDER:
            values = {name: architecture.get(name) for name in ("builder", "builder_sha256")}
            config = BuilderConfig.parse(values, where=BUILDER)
            load_builder(config.builder, config.builder_sha256)


def build_by_code(
    config: BuilderConfig,
    image_shape: tuple[int, int, int],
    num_classes: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Let the function make a network for images (C, H, W), on torch's current device.

    Its own initialization stands, drawn from the generator if given. Such code draws from the
    global generator: that is lent the state of ours, and given back as it was.

    Raises:
        ConfigError: the function raises, or returns no module.
        SearchSpaceError: it may not or cannot be imported.
    """
    builder = load_builder(config.builder, config.builder_sha256)
    device = torch.empty(0).device
    fault: BaseException | None = None
    # where a constructor computes with numbers, which meta has none of, it has to be done for real
    for place in dict.fromkeys([device, torch.device("cpu")]):
        try:
            with torch.random.fork_rng(devices=[]), place:
                if generator is not None:
                    torch.set_rng_state(generator.get_state())
                model = builder.make(
                    image_shape=tuple(image_shape), num_classes=num_classes, **config.settings
                )
            break
        except (Exception, SystemExit) as error:
            fault = error
    else:
        assert fault is not None
        raise ConfigError(
            f"{config.told()} makes no network for images {tuple(image_shape)}: "
            f"{_reason(fault, builder.path)}"
        ) from fault
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"builder {config.builder!r} must return a torch.nn.Module, got {type(model).__name__}"
        )
    return model.to(device)


@lru_cache(maxsize=100_000)
def _find_fault(text: str, image_shape: tuple[int, int, int]) -> str:
    """Say why a network, given as JSON, cannot take images (C, H, W); empty: it can.

    Kept, as a space is looked through more than once and making a network takes milliseconds.
    """
    config = BuilderConfig.model_validate_json(text)
    try:
        with torch.device("meta"), torch.no_grad():
            model = build_by_code(config, image_shape, PROBE_CLASSES)
            logits = model(torch.zeros(2, *image_shape))
    except ConfigError as error:
        return str(error)
    except Exception as error:
        reason = _reason(error, load_builder(config.builder).path)
        return f"the network of {config.told()} cannot take images {image_shape}: {reason}"
    if isinstance(logits, Tensor) and logits.shape == (2, PROBE_CLASSES):
        return ""
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    return (
        f"the network of {config.told()} must return logits (N, num_classes), got {found} for 2 "
        f"images and {PROBE_CLASSES} classes"
    )


@lru_cache(maxsize=64)
def _locate(module: str, folders: tuple[str, ...]) -> tuple[Path, str]:
    """Return the file of a module and its sha256, once a process: what is loaded stays loaded.

    Raises:
        SearchSpaceError: there is none.
    """
    importlib.invalidate_caches()
    try:
        spec = find_spec(module)
    except (Exception, SystemExit) as error:  # of a package that it is in
        name = error.name if isinstance(error, ModuleNotFoundError) else None
        if name is None or not f"{module}.".startswith(f"{name}."):
            raise SearchSpaceError(
                f"module {module!r} of a builder cannot be imported: {_reason(error)}"
            ) from error
        spec = None
    if spec is None:
        raise SearchSpaceError(
            f"module {module!r} of a builder is neither in {' or '.join(folders)} nor installed: "
            "give the command in the folder that holds it, or install it"
        )
    path = Path(spec.origin or "")
    if not path.is_file():
        raise SearchSpaceError(f"module {module!r} of a builder has no file: name one that has")
    return path, sha256_of([path.read_bytes()])


def _reason(error: BaseException, path: Path | None = None) -> str:
    """Say in a line what was raised, and in which line of a file."""
    lines = str(error).strip().splitlines() or ["no message"]
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame.lineno for frame in frames if frame.filename == str(path)]
    where = f" (line {places[-1]} of {path})" if places else ""
    return f"{type(error).__name__}: {lines[0][:200]}{where}"
