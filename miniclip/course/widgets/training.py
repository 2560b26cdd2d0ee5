"""`TrainLab`: a whole CLIP that learns before one's eyes, with a shared space of three numbers, so
that it can be seen as it is: a sphere (notebook 01).

The model is a real one, trained by the package's own `train_step`; only small. The browser asks for
some steps, and for more when it has drawn what came of them, so that the kernel is never blocked
for long and the training stands still whenever one wants to look.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from miniclip import checkpoint
from miniclip.config import CLIPConfig
from miniclip.course.plots import Plot, subplots
from miniclip.course.widgets.base import StillPicture
from miniclip.course.widgets.circle import INKS, THINGS, image_address
from miniclip.data import World, picturebook
from miniclip.data.world import article
from miniclip.loss import info_nce, sigmoid_loss
from miniclip.model import CLIP
from miniclip.training.loop import train_step
from miniclip.training.optimizers import make_optimizers, set_learning_rates
from miniclip.training.precision import Precision
from miniclip.training.recipe import Recipe

HERE = Path(__file__).parent
SIZE = 32  # pixels
SHOWN = 64  # pictures on the sphere, which the training never sees
STEPS = 4  # between two looks
LOSSES = ("InfoNCE", "sigmoid")
# Large things on a lawn by day: learned in seconds.
EASY = World(
    objects=1,
    sizes=(0.7, 0.85),
    places=("grass",),
    weathers={"clear": 1},
    lights={"day": 1},
    styles={"full": 1},
    artists="openmoji",
)


class TrainLab(StillPicture, anywidget.AnyWidget):
    """Train a tiny CLIP on things of the drawn world, and watch its pictures and words move.

    Args:
        things: names of things of the drawn world, two to eight.
        pictures: how many to learn from.
        seed: of pictures, weights and batches.

    Attributes:
        model: the CLIP as it is now.
        learning_rate: of the next steps.
        each: pictures of each thing in a step. A loss is taken over one of each, and the mean of
            these is learned from.
        loss: "InfoNCE" or "sigmoid"; another one starts anew.
        positions: the unit vectors of the shown pictures (64, 3), and then of the words (C, 3).
        history: [steps, loss, accuracy on the shown pictures], from the start on.
        message: what to do where the training cannot go on.
        asked, anew: counters; the browser raises them to ask for steps, or for a new start.
    """

    _esm = HERE / "training.js"
    _css = HERE / "training.css"
    sprite = traitlets.Unicode().tag(sync=True)
    words = traitlets.List().tag(sync=True)
    classes = traitlets.List().tag(sync=True)
    positions = traitlets.List().tag(sync=True)
    history = traitlets.List().tag(sync=True)
    learning_rate = traitlets.Float(1e-3).tag(sync=True)
    each = traitlets.Int(4).tag(sync=True)
    loss = traitlets.Enum(LOSSES, LOSSES[0]).tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    anew = traitlets.Int(0).tag(sync=True)

    def __init__(self, things: tuple[str, ...] = THINGS, pictures: int = 600, seed: int = 0):
        if not 2 <= len(things) <= len(THINGS):
            raise ValueError(f"choose 2 to {len(THINGS)} things, not {len(things)}")
        self.things, self.seed = tuple(things), seed
        world = replace(EASY, nouns=self.things)
        data = picturebook(pictures + SHOWN, seed, SIZE, world, progress=False)
        found = data.facts["meanings"][:, 0]
        self.members = [np.flatnonzero(found[:pictures] == thing) for thing in self.things]
        if not all(map(len, self.members)):
            raise ValueError(f"{pictures} pictures are too few for {len(things)} things")
        self.data, self.shown = data, data.images[pictures:]
        self.truth = np.array([self.things.index(thing) for thing in found[pictures:]])
        super().__init__(
            sprite=image_address(np.concatenate(list(self.shown), axis=1)),
            words=[article(thing) for thing in self.things],
            classes=self.truth.tolist(),
        )
        self.restart()
        self.observe(lambda _: self.step(), "asked")
        self.observe(lambda _: self.restart(), ["anew", "loss"])

    def restart(self) -> None:
        """Begin again, with new weights."""
        sizes = {"vision_width": 64, "vision_layers": 2, "text_width": 32, "text_layers": 1}
        config = CLIPConfig(
            image_size=SIZE, embed_dim=3, context_length=8, text_heads=2, vocab_size=300, **sizes
        )
        self.model: CLIP = checkpoint.new(self.words * 20, config, self.seed).eval()
        if self.loss == "sigmoid":
            # SigLIP starts at -10 because of its large batches; here one of eight belongs.
            self.model.logit_bias.data.fill_(-5.0)
        self.optimizers = make_optimizers(self.model, Recipe(lr=1e-3, muon_lr=3e-3))
        self.pixels = self.model.preprocess(self.data.images)
        self.tokens = self.model.tokenizer(self.words, config.context_length)
        self.rng, self.steps = np.random.default_rng(self.seed), 0
        self.history, self.message = [], ""
        with torch.no_grad():
            self._show(self._objective(*self._batch()).item())

    def step(self, count: int = STEPS) -> None:
        """Take some steps, and look."""
        precision = Precision(self.model.device, torch.float32)
        set_learning_rates(self.optimizers, self.learning_rate / 1e-3)
        self.model.train()
        for _ in range(count):
            batch = self._batch()
            loss = train_step(self.model, batch, self._objective, self.optimizers, precision, 1.0)
            self.model.logit_scale.data.clamp_(max=math.log(100))
        self.steps += count
        self.model.eval()
        self._show(loss.item())

    def _batch(self) -> tuple[Tensor, Tensor]:
        """`each` groups of one picture of each thing, and the words."""
        rows = [self.rng.choice(some) for _ in range(self.each) for some in self.members]
        return self.pixels[rows], self.tokens

    def _objective(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The mean of the losses of the groups; in each every picture has a word of its own."""
        x, y = self.model.encode_image(images), self.model.encode_text(tokens)
        scale, bias = self.model.logit_scale.exp(), self.model.logit_bias
        groups = x.split(len(tokens))
        if self.loss == "sigmoid":
            return torch.stack([sigmoid_loss(some, y, scale, bias) for some in groups]).mean()
        return torch.stack([info_nce(some, y, scale) for some in groups]).mean()

    def _show(self, loss: float) -> None:
        """Tell the browser where everything is."""
        if not math.isfinite(loss):
            self.message = "The loss is no longer a number: the steps were too large. Start anew."
            return
        with torch.inference_mode():
            images, texts = self.model.encode_image(self.shown), self.model.encode_text(self.words)
        right = ((images @ texts.T).argmax(dim=1).numpy() == self.truth).mean()
        self.positions = torch.cat([images, texts]).numpy().astype(float).round(3).tolist()
        self.history = [*self.history, [self.steps, round(loss, 4), round(float(right), 4)]]

    def preview(self) -> Plot:
        """A still picture of it, for places where no widget can run."""
        figure, ((axis,),) = subplots(1, 1, (5, 5))
        points = np.array(self.positions)
        for number, color in zip(range(len(self.things)), INKS):
            own = points[: len(self.truth)][self.truth == number]
            axis.scatter(own[:, 0], own[:, 1], color=color, s=30)
            x, y, _ = points[len(self.truth) + number]
            axis.text(x, y, self.words[number], color=color, ha="center", fontweight="bold")
        axis.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        axis.axis("off")
        figure.alt = f"{len(self.truth)} pictures and {len(self.words)} words on a sphere; run it"
        return figure
