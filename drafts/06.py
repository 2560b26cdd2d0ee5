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
# # 06 · Why contrastive?
#
# Pictures with captions can be learned from in more than one way. The authors of CLIP first tried the obvious one, *predict the caption*, and found it slow: predicting its bag of words was three times as efficient,
# contrasting four times more efficient than that (Radford et al. 2021, Figure 2). Here is that experiment, with the same image tower, the same pictures in the same order, and three objectives.
#
# By the end you can
# - write down the three objectives, and say what each asks of the picture's vector;
# - make a zero-shot classifier of a captioner and of a bag of words;
# - compare learning curves fairly: the same data, a learning rate chosen for each, intervals;
# - say how many pictures each needs for a given accuracy, and why that might be.

# %%
import math

import numpy as np
import torch

import miniclip
from miniclip import Recipe, World, plots, studies
from miniclip.baselines import bag_of_words, captioner
from miniclip.benchmarks import TEST_SEED, single_objects
from miniclip.data.picturebook import COLORS, MEANINGS
from miniclip.homework import answer
from miniclip.zeroshot import wilson

data = miniclip.data.picturebook(2000, seed=0, size=48, world=World.starter())
print(data.captions[0][0])

# %% [markdown]
# ## 1 · Three ways to learn from a caption
# | objective | what is asked | loss for one picture $v$ with the caption $w_1 \ldots w_T$ |
# | --- | --- | --- |
# | **language model** | write the caption, word by word | $-\frac1T\sum_t \log p(w_t \mid v, w_1 \ldots w_{t-1})$ |
# | **bag of words** | which words does it have? | $-\frac1T\sum_t \log p(w_t \mid v)$ |
# | **contrast** | which of these $B$ captions is it? | $-\log p(\text{its own} \mid v)$, and the same the other way round |
#
# The first must get every word right, *the*, *of* and *on* too, and the order. The second drops the order. The third asks for whatever tells this picture from the others, and nothing else.
#
# What each has to predict for one picture:

# %%
clip = miniclip.hub.new((text for texts in data.captions for text in texts), "nano")
ids = clip.tokenizer([data.captions[0][0]], clip.config.context_length)[0]
tokens = [clip.tokenizer.decode([int(i)]) for i in ids if i > clip.config.end_token]
print("language model:", tokens, "in this order")
print("bag of words:  ", sorted(set(tokens)))
print("contrast:       the one caption of 64")

# %% [markdown]
# **Predict first:** before any training, what loss does each have? A guesser among $V$ words pays $\log V$ for each word; a guesser among $B$ captions pays $\log B$.

# %%
V, B = clip.config.vocab_size, 64
print(f"words: log {V} = {math.log(V):.2f}    captions: log {B} = {math.log(B):.2f}")

# %% [markdown]
# ## 2 · A few seconds of each
# The same 6,400 pictures, each objective with its own learning rate (how it was chosen comes below). This is live, so your numbers will differ a little.

# %% tags=["nbval-ignore-output", "live-training"]
recipe, budget = Recipe(), {"seen": 3200, "scores": 8, "progress": False}
clip, contrast = miniclip.train(data, "nano", recipe=recipe, **budget)
bag, words = bag_of_words(data, "nano", recipe=recipe, **budget)
writer, text = captioner(data, "nano", recipe=recipe, **budget)
live = {"contrast": contrast, "bag of words": words, "language model": text}
for name, history in live.items():
    seen, loss = history.column("loss")
    print(f"{name:15} loss {loss[0]:.2f} after {seen[0]} pictures, {loss[-1]:.2f} after {seen[-1]}")

# %% [markdown]
# Losses of different objectives cannot be compared: they answer different questions. What *can* be compared is what all three want to be good for: **naming a thing that they were never told is a class.**
#
# ## 3 · Zero-shot, three times
# - **contrast**: which of the sentences is nearest to the picture?
# - **bag of words**: which of the names has the likeliest words?
# - **language model**: which of the sentences would it write with the highest probability?
#
# A word that is frequent in captions is likely under *any* picture. So from each score of the two rivals its mean over a hundred other pictures (without labels) is taken off: without that they do far worse.

# %% tags=["nbval-ignore-output", "live-training"]
picture = single_objects(World.starter(), 1, 48, TEST_SEED)
pixels = clip.preprocess(picture.images)
names = ["a dog", "a cat", "a bus", "an owl"]
with torch.inference_mode():
    print(
        "contrast      ",
        [
            f"{v:.2f}"
            for v in (clip.encode_image(pixels) @ clip.encode_text([f"a picture of {n}." for n in names]).T)[
                0
            ].tolist()
        ],
    )
    print("bag of words  ", [f"{v:.2f}" for v in bag.class_scores(pixels, [n.split()[-1] for n in names])[0].tolist()])
    print("language model", [f"{v:.2f}" for v in writer.class_scores(pixels, names)[0].tolist()])

# %% [markdown]
# ## 4 · The long runs
# A class cannot wait for these. `python -m miniclip study "figure 2"` trained each objective three times with a quarter of the budget, took its best learning rate, and trained it again with the whole budget. What it wrote down ships with the package:

# %%
study = studies.result("figure 2")
for objective in ("contrast", "bag of words", "language model"):
    print(f"{objective:15}", {f"lr {lr}": f"{right:.0%}" for lr, right in study[f"{objective}, rates"].items()})
print(study["about"])

# %% [markdown]
# **Predict first:** who is best after 10,000 pictures? And after 100,000?

# %%
n = study["about"]["test pictures"]
INKS = {"contrast": plots.INK["image"], "bag of words": plots.INK["text"], "language model": plots.INK["wrong"]}
curves = {name: {row["seen"]: row["object"] for row in study[name]} for name in INKS}
plots.curves(
    list(curves["contrast"]),
    {name: list(curve.values()) for name, curve in curves.items()},
    "pictures seen",
    f"zero-shot right (1 of {study['about']['labels']})",
    "Three objectives, one tower, one budget",
    inks=INKS,
    bands={name: [wilson(round(v * n), n) for v in curve.values()] for name, curve in curves.items()},
    ylim=(0, 1),
)

# %% [markdown]
# ## 5 · Efficiency as a ratio
# How many pictures does each need to reach a given accuracy? Straight lines between the points that were measured.

# %%
def needed(curve: dict[int, float], accuracy: float) -> float:
    """Pictures seen until a curve first reaches an accuracy; NaN if it never does."""
    seen, right = [0, *curve], [0.0, *curve.values()]
    for k in range(1, len(seen)):
        if right[k] >= accuracy:
            share = (accuracy - right[k - 1]) / (right[k] - right[k - 1])
            return seen[k - 1] + share * (seen[k] - seen[k - 1])
    return math.nan


# %%
print("accuracy   " + "".join(f"{name:>18}" for name in INKS) + "   (pictures, and how many times those of contrast)")
for accuracy in (0.25, 0.5, 0.75, 0.9):
    counts = [needed(curves[name], accuracy) for name in INKS]
    cells = ["never" if math.isnan(c) else f"{c:,.0f} ({c / counts[0]:.1f}x)" for c in counts]
    print(f"{accuracy:8.0%}   " + "".join(f"{cell:>18}" for cell in cells))

# %% [markdown]
# The paper's figure: the language model needs 3 times as many as the bag of words, and that one 4 times as many as contrast, 12 times in all, on 400 million noisy captions of the web and for ImageNet's 1,000 classes.
# Ours is a toy world with a few hundred words, whose captions say little else than what is to be seen. Which way round is it in your table, and how large are the ratios?
#
# ## 6 · Where does a writer's effort go?
# What does the language model pay, in nats, for the words that name a thing, for colours, and for all the others? **Predict first:** which of these does it learn first?

# %% tags=["nbval-ignore-output", "live-training"]
fresh = miniclip.data.picturebook(300, TEST_SEED, 48, World.starter())
things = {meaning.word for meaning in MEANINGS.values()}
paid = {"things": [], "colours": [], "all other words": []}
for pixels, texts in fresh:
    ids = writer.tokenizer(texts[0], writer.config.context_length)
    with torch.inference_mode():
        cost = -writer(writer.read(clip.preprocess(pixels)), ids)[0]
    for token, nats in zip(ids[0, 1:].tolist(), cost.tolist()):
        word = writer.tokenizer.decode([token])
        if token > writer.config.end_token:
            kind = "things" if word in things else "colours" if word in COLORS else "all other words"
            paid[kind].append(nats)
for kind, nats in paid.items():
    print(f"{kind:16} {len(nats) / sum(map(len, paid.values())):4.0%} of the words, {np.mean(nats):.2f} nats each")

# %% [markdown]
# Few of the words name things, and those are the last to be learned: *a*, *of* and *in the* repay the effort sooner. A contrast gets nothing for them, since they do not tell one picture from another.
#
# **Is that all?** A captioner learns other things that a contrast never needs: it can *write*. And with much more computing it becomes a good image encoder as well (Tschannen et al. 2023, who train one beside a CLIP).
#
# ## Summary
# - Predicting a caption, predicting its words and choosing it among others are three losses for the same data; they cannot be compared by their values.
# - They can be compared by what they are good for: zero-shot accuracy over pictures seen, a learning rate chosen for each.
# - Contrast asks only for what tells pictures apart.
#
# ## Exercises

# %%
answer("06.guess")

# %%
answer("06.ratio")

# %%
answer("06.order")

# %%
answer("06.fair")
