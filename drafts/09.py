# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · The real CLIP
#
# Everything so far was a toy that learned in an hour from drawings. The same few hundred lines also run **OpenAI's released weights**: 400 million pairs, 32 epochs, the ViT-B/32 of Radford et al. 2021.
# Here both stand side by side, on the same prompts, pictures and failures.
#
# By the end you can
# - load OpenAI's weights into the classes that you have read;
# - compare a small and a large CLIP fairly, on pictures that neither was trained on, or only one of them;
# - say which failures went away with 400 million pairs, and which did not.
#
# This notebook needs the weights (600 MB) once. **Without them it runs all the same, with our model alone**, and says at each place what is missing.

# %%
import os

import numpy as np
import torch
from PIL import Image

import miniclip
from miniclip import Scene, Thing, World, plots
from miniclip.benchmarks import ask, single_objects
from miniclip.challenges import CHALLENGES, choose, written
from miniclip.homework import answer
from miniclip.prompts import SIMPLE
from miniclip.zeroshot import classify, image_features, text_features

# %% [markdown]
# ## 1 · The same classes
# `miniclip.load` takes the name of a repository of the Hugging Face hub, or a folder with `model.safetensors` and `merges.txt`. Put such a folder's path into `MINICLIP_REAL` to use it.

# %%
REAL = os.environ.get("MINICLIP_REAL", "openai/clip-vit-base-patch32")
models = {"ours": miniclip.load("picturebook")}
try:
    models["OpenAI's"] = miniclip.load(REAL)
except FileNotFoundError:
    print(
        "OpenAI's weights are not here, so only our model answers below. What to do: run this once with the internet;"
    )
    print("or copy model.safetensors and merges.txt of https://huggingface.co/openai/clip-vit-base-patch32")
    print("into a folder, and put its path into the environment variable MINICLIP_REAL.")

# %%
for name, model in models.items():
    config = model.config
    count = sum(weight.numel() for weight in model.parameters())
    print(f"{name}: {count / 1e6:.1f} million weights, {config.image_size} px, {config.vocab_size:,} tokens,")
    print(f"   {config.vision_layers} layers for pictures and {config.text_layers} for texts")

# %% [markdown]
# **Predict first:** the two have the same code. What differs?

# %%
for name, model in models.items():
    print(
        f"{name:9}",
        type(model.visual).__name__,
        "+",
        type(model.text).__name__,
        "| inverse temperature",
        round(model.logit_scale.exp().item(), 1),
    )
    print(" " * 9, model.tokenizer.pieces("a pencil sketch of a penguin riding a unicycle"))

# %% [markdown]
# ## 2 · The same prompts
# A picture out of the drawn world. Both know what it is?

# %%
scene = Scene("beach", [Thing("dog", color="red", at=(0.4, 0.7), size=0.5)])
plots.picture(scene.draw(300), alt="a red dog at the beach")

# %%
names = ["a dog", "a cat", "a bus", "an owl", "a pizza"]
for name, model in models.items():
    said = classify(model, scene.draw(224), names, SIMPLE)
    print(f"{name:9}", {label: round(p, 2) for label, p in said.items()})

# %% [markdown]
# **Predict first:** OpenAI's model never saw a Picturebook. Forty things, 200 pictures, drawn at the size that each model reads: which of the two wins?

# %%
for name, model in models.items():
    test = single_objects(World(nouns="starter"), 200, min(model.config.image_size, 224))
    for question, score in ask(model, test).items():
        print(f"{name:9} {question:7} {score}")

# %% [markdown]
# ## 3 · Pictures from outside
# Now the other way round: a photo. scikit-learn ships two of them. Ours has seen nothing but drawings.

# %%
from sklearn.datasets import load_sample_images

photos = [np.asarray(Image.fromarray(photo).resize((320, 213))) for photo in load_sample_images().images]
subjects = ["a chinese temple", "a flower", "a dog", "a street with cars", "a person", "a bowl of food"]
answers = [classify(model, photo, subjects, SIMPLE) for model in models.values() for photo in photos]
plots.guesses(
    [*photos] * len(models), answers, title=" and ".join(f"{name} (2 pictures)" for name in models), columns=2
)

# %% [markdown]
# ## 4 · The same failures?
# The nine tasks of notebook 08. **Predict first:** which does OpenAI's model solve? (The paper: it is poor at counting and at distances, better at cars and flowers than a supervised ResNet-50's features only on some, and at 88 % on handwritten digits.)

# %%
found = {}
for task, make in CHALLENGES.items():
    found[task] = [choose(model, make(n=60, size=min(model.config.image_size, 224))) for model in models.values()]
    print(f"{task:28}", "   ".join(f"{name} {score.brief:20}" for name, score in zip(models, found[task])))

# %%
plots.pairs(
    found, list(models), [plots.INK["image"], plots.INK["text"]][: len(models)], "Nine tasks, 60 pictures each"
)

# %% [markdown]
# Reading is the one that turns round: a model that cannot read cannot be fooled by a word on the picture. One that can, can.

# %%
for name, model in models.items():
    size = min(model.config.image_size, 224)
    clean, attacked = (choose(model, written(60, size, text=text)) for text in (False, True))
    print(f"{name:9} without a word {clean.accuracy:.0%}, with the wrong word {attacked.accuracy:.0%}")

# %% [markdown]
# ## 5 · What a vector knows
# Cosines between texts. **Predict first:** which of the two models takes "crane" for a bird, and which for a machine?

# %%
texts = [
    "a crane",
    "a bird",
    "a machine on a building site",
    "a seal",
    "an animal in the sea",
    "a stamp on a letter",
]
for name, model in models.items():
    vectors = text_features(model, [f"a photo of {text}." for text in texts])
    cosines = vectors @ vectors.T
    print(f"{name:9} crane: a bird {cosines[0, 1]:.2f}, a machine {cosines[0, 2]:.2f}")
    print(f"{'':9} seal: an animal {cosines[3, 4]:.2f}, a stamp {cosines[3, 5]:.2f}")

# %% [markdown]
# The gap between pictures and texts (notebook 03) is there in both:

# %%
album = miniclip.data.picturebook(60, seed=1_000_001, size=224)
for name, model in models.items():
    I = image_features(model, album)
    T = text_features(model, [texts[0] for texts in album.captions], batch_size=64)
    gap, pair = float((I.mean(0) - T.mean(0)).norm()), float((I * T).sum(1).mean())
    print(f"{name:9} distance of the centres {gap:.2f}, cosine of a pair {pair:.2f}")

# %% [markdown]
# ## Summary
# - The architecture is the same; what differs is the size, the data and the computing.
# - What our captions never say, theirs may: the web's captions name species and read signs. What hardly any caption says (how many, how far, which is left) stays hard.
#
# ## Exercises

# %%
answer("09.parameters")

# %%
answer("09.batch")

# %%
answer("09.reading")

# %%
answer("09.pairs")
