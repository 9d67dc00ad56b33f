"""The settings of every stage: frozen, strict, each default written once."""

from nasproxy.config.augmentation import (
    AUGMENTATIONS,
    DIGITS,
    GENERIC,
    OBJECTS,
    TISSUE,
    Augmentation,
    AugmentationName,
)
from nasproxy.config.base import Config, read_toml
from nasproxy.config.compare import CompareConfig, ContestantConfig
from nasproxy.config.data import DataConfig
from nasproxy.config.datadam import DATADAM_PRESETS, DataDAMConfig
from nasproxy.config.distill import DISTILL_CONFIGS, DISTILL_PRESETS, DistillConfig, distill_config
from nasproxy.config.pad import PAD_PRESETS, PADConfig
from nasproxy.config.recipe import (
    EARLY_RECIPE,
    FULL_RECIPE,
    PROTOCOLS,
    SEARCH_RECIPE,
    STUDY_PROTOCOL,
    Recipe,
    changed_recipe,
    full_recipe,
    search_recipe,
)
from nasproxy.config.run import DEFAULT_PROXY, RunConfig
from nasproxy.config.search import COST_FIELDS, LIMITS, SearchConfig
from nasproxy.config.trust import RecipeChange, TrustConfig
from nasproxy.config.verify import VerifyConfig

__all__ = [
    "AUGMENTATIONS",
    "COST_FIELDS",
    "DATADAM_PRESETS",
    "DEFAULT_PROXY",
    "DIGITS",
    "DISTILL_CONFIGS",
    "DISTILL_PRESETS",
    "EARLY_RECIPE",
    "FULL_RECIPE",
    "GENERIC",
    "LIMITS",
    "OBJECTS",
    "PAD_PRESETS",
    "PROTOCOLS",
    "SEARCH_RECIPE",
    "STUDY_PROTOCOL",
    "TISSUE",
    "Augmentation",
    "AugmentationName",
    "CompareConfig",
    "Config",
    "ContestantConfig",
    "DataConfig",
    "DataDAMConfig",
    "DistillConfig",
    "PADConfig",
    "Recipe",
    "RecipeChange",
    "RunConfig",
    "SearchConfig",
    "TrustConfig",
    "VerifyConfig",
    "changed_recipe",
    "distill_config",
    "full_recipe",
    "read_toml",
    "search_recipe",
]
