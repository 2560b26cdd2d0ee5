"""miniclip: a CLIP that fits in the head (Radford et al. 2021), from scratch, for teaching."""

from . import data, retrieval, zeroshot
from .data import CaptionedImages, CaptionStyle, Scene, Thing, World
from .hub import load, save
from .loss import info_nce, sigmoid_loss
from .model import CLIP, PRESETS, CLIPConfig
from .tokenizer import Tokenizer
from .train import History, Recipe, train
from .zeroshot import classifier, classify, evaluate

__version__ = "0.1.0"
__all__ = [
    "CLIP", "PRESETS", "CLIPConfig", "CaptionStyle", "CaptionedImages", "History", "Recipe", "Scene", "Thing", "Tokenizer", "World",
    "classifier", "classify", "data", "evaluate", "info_nce", "load", "retrieval", "save", "sigmoid_loss", "train", "zeroshot",
]
