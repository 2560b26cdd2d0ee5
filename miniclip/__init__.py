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
# Notebooks use these by a short name: `from miniclip import answer, plots`. They are imported only
# when they are asked for, because they need matplotlib, ipywidgets or scikit-learn, and a plain
# `import miniclip` should need none of these.
_SHORT = {
    "answer": "miniclip.course.exercises:answer",
    "baselines": "miniclip.evaluation.baselines",
    "benchmarks": "miniclip.evaluation.benchmarks",
    "challenges": "miniclip.evaluation.challenges",
    "check": "miniclip.course.checks:check",
    "exercises": "miniclip.course.exercises",
    "plots": "miniclip.course.plots",
    "probes": "miniclip.evaluation.probes",
    "shifts": "miniclip.evaluation.shifts",
    "studies": "miniclip.evaluation.studies",
    "widgets": "miniclip.course.widgets",
}


def __getattr__(name: str):
    """Import what has a short name; Python calls this for names that are not found above."""
    if name not in _SHORT:
        raise AttributeError(f"module 'miniclip' has no attribute {name!r}")
    module, _, member = _SHORT[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, member) if member else found
