"""Widgets: things to play with in a notebook.

They are made of ipywidgets and draw HTML, which answers at once; what has to be dragged runs in the
browser, by anywidget. Behind each is a plain function that returns everything it shows. If
something is wrong with an input, the widget says so in a sentence.
"""

from __future__ import annotations

from miniclip.course.widgets.attention import AttentionLab
from miniclip.course.widgets.base import Lab, bars, picture
from miniclip.course.widgets.circle import CircleLab
from miniclip.course.widgets.failure import FailureLab
from miniclip.course.widgets.loss import LossLab, LossView, look_at_loss, matrix
from miniclip.course.widgets.mix import MixLab
from miniclip.course.widgets.prompt import PromptLab, Try, read_labels, read_templates
from miniclip.course.widgets.scene import SceneLab, look_at_scene, scene_classifiers
from miniclip.course.widgets.search import SearchBox
from miniclip.course.widgets.training import TrainLab

__all__ = [
    "AttentionLab",
    "CircleLab",
    "FailureLab",
    "Lab",
    "LossLab",
    "LossView",
    "MixLab",
    "PromptLab",
    "SceneLab",
    "SearchBox",
    "TrainLab",
    "Try",
    "bars",
    "look_at_loss",
    "look_at_scene",
    "matrix",
    "picture",
    "read_labels",
    "read_templates",
    "scene_classifiers",
]
