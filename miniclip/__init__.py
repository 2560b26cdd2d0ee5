"""miniclip: a compact CLIP (Radford et al. 2021), from scratch, for teaching.

The core lies in this folder; read it in this order: `config`, `tokenizer`, `attention`, `model`,
`loss`, `zeroshot`. How it is trained is in `training/`, what it learns from in `data/`, how good
it is in `evaluation/`, what notebooks show in `course/`, and the command line in `tools/`.
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
# Modules that notebooks use by their short name: `from miniclip import plots`. They are imported
# when first asked for,
# since they need matplotlib, ipywidgets or scikit-learn.
_SHORT = {
    "baselines": "miniclip.evaluation.baselines",
    "benchmarks": "miniclip.evaluation.benchmarks",
    "challenges": "miniclip.evaluation.challenges",
    "exercises": "miniclip.course.exercises",
    "plots": "miniclip.course.plots",
    "probes": "miniclip.evaluation.probes",
    "shifts": "miniclip.evaluation.shifts",
    "studies": "miniclip.evaluation.studies",
    "widgets": "miniclip.course.widgets",
}


def __getattr__(name: str):
    """Import a module by its short name."""
    if name in _SHORT:
        return importlib.import_module(_SHORT[name])
    raise AttributeError(f"module 'miniclip' has no attribute {name!r}")
