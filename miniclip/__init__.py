"""miniclip: a compact CLIP (Radford et al. 2021), from scratch, for teaching.

The core is in this folder. Read it in this order: `config`, `tokenizer`, `attention`, `model`,
`loss`, `zeroshot`. The rest is in subfolders: `training/` trains the model, `data/` holds what it
learns from, `evaluation/` measures how good it is, `course/` has what the notebooks show, and
`tools/` the command line.
"""

import importlib

from miniclip import data, retrieval, zeroshot
from miniclip.checkpoint import load, save
from miniclip.config import PRESETS, CLIPConfig
from miniclip.data import CaptionedImages, CaptionStyle, Scene, Thing, World
from miniclip.loss import info_nce, sigmoid_loss
from miniclip.model import CLIP
from miniclip.tokenizer import Tokenizer
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import classifier, classify, evaluate

__version__ = "0.1.0"
__all__ = [
    "CLIP",
    "PRESETS",
    "CLIPConfig",
    "CaptionStyle",
    "CaptionedImages",
    "History",
    "Recipe",
    "Scene",
    "Thing",
    "Tokenizer",
    "World",
    "classifier",
    "classify",
    "data",
    "evaluate",
    "info_nce",
    "load",
    "retrieval",
    "save",
    "sigmoid_loss",
    "train",
    "zeroshot",
]
# Notebooks and homework import these from `miniclip` itself: `from miniclip import answer, plots`.
# They are loaded only when they are asked for, because they need matplotlib, ipywidgets or
# scikit-learn, and a plain `import miniclip` should need none of these.
_MODULES = {
    "baselines": "evaluation",
    "benchmarks": "evaluation",
    "challenges": "evaluation",
    "exercises": "course",
    "plots": "course",
    "probes": "evaluation",
    "shifts": "evaluation",
    "studies": "evaluation",
    "widgets": "course",
}
_NAMES = {
    "course.checks": ("check",),
    "course.exercises": ("answer",),
    "data.world": ("COLORS", "COMMON", "CONCEPTS", "PLACES", "STARTER", "article"),
    "data.world.captions": ("MODEL_NAMES",),
    "evaluation.baselines": (
        "Classifier",
        "bag_of_words",
        "captioner",
        "evaluate_baseline",
        "load_baseline",
    ),
    "evaluation.benchmarks": (
        "CHOICE_SEED",
        "TEST_SEED",
        "ask",
        "duel",
        "questions",
        "scorer",
        "single_objects",
        "two_objects",
    ),
    "evaluation.challenges": (
        "CHALLENGES",
        "NUMBER_WORDS",
        "Challenge",
        "attributes",
        "choose",
        "digits",
        "models",
        "sides",
        "written",
    ),
    "evaluation.probes": (
        "average",
        "features",
        "few_shot",
        "fine_tune",
        "linear_probe",
        "pixels",
    ),
    "evaluation.shifts": (
        "HOME",
        "NEW_COLORS",
        "NEW_PLACES",
        "PAINTABLE",
        "SHIFTS",
        "ask_all",
        "own_places",
        "shifted",
        "which_thing",
    ),
}


def __getattr__(name: str):
    """Import a name of the tables above; Python calls this for names that it does not find."""
    if name in _MODULES:
        return importlib.import_module(f"miniclip.{_MODULES[name]}.{name}")
    for module, names in _NAMES.items():
        if name in names:
            return getattr(importlib.import_module(f"miniclip.{module}"), name)
    raise AttributeError(f"module 'miniclip' has no attribute {name!r}")
