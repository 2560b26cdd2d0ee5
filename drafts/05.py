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
# # 05 · Representations
#
# A zero-shot classifier reads what the *captions* taught. What else do the image features know? Put a **linear classifier** on top of them, and see
# (Radford et al. 2021, sections 3.1.5 and 3.2). Then train the whole tower further on a task, and see what that costs.
#
# By the end you can
# - train a linear probe on frozen features, and choose its strength without touching the test;
# - draw a few-shot curve, and say how many labels a zero-shot classifier is worth;
# - tell whether a failure is in the features or in the words;
# - fine-tune a tower, measure what it forgets, and get most of it back by averaging weights (WiSE-FT).

# %%
import numpy as np
import torch

import miniclip
from miniclip import Recipe, World, plots
from miniclip.benchmarks import CHOICE_SEED, TEST_SEED, ask, questions, single_objects
from miniclip.challenges import CHALLENGES, choose, digits
from miniclip.homework import answer
from miniclip.model import CLIP
from miniclip.probe import average, choose_strength, features, few_shot, fine_tune, linear_probe, pixels
from miniclip.zeroshot import classifier, wilson

model = miniclip.load("picturebook")

# %% [markdown]
# ## 1 · Features once
# The tower stays as it is. So its features are computed **once**, and everything after that is a small regression. The forty starter nouns; 2,000 pictures to learn from, 1,000 to test on:

# %%
world = World(nouns="starter")
train_set, test = single_objects(world, 2000, 64, seed=77), single_objects(world, 1000, 64)
x, test_x = features(model, train_set), features(model, test)  # (N, D)
y, test_y = train_set.facts["object"], test.facts["object"]
print("features", x.shape, "labels", len(set(y)), "for example", y[:5].tolist())

# %% [markdown]
# These are the features *before* the projection into the shared space, as in the paper (A.3): the projection keeps what captions speak of, and may throw away the rest.
#
# A linear probe is logistic regression, $p(y \mid x) = \mathrm{softmax}(W x + b)$, with a penalty $\frac{1}{2C}\lVert W\rVert^2$. How strong the penalty should be is **chosen on a part of the training set** that is held out for that:

# %%
C = choose_strength(x[:1600], y[:1600], x[1600:], y[1600:])
probe = linear_probe(x, y, test_x, test_y, strength=C)
print(f"C = {C:.2g}")
print("linear probe:", probe.right)
zero_shot = ask(model, test)["object"]
print("zero-shot:   ", zero_shot)

# %% [markdown]
# **Predict first:** the zero-shot classifier used no labels at all. With how many labelled pictures of each class does a probe draw level?

# %%
shots = (1, 2, 4, 8, 16, 32)
curve = few_shot(x, y, test_x, test_y, shots, draws=5)
means = [curve[k].mean() for k in shots]
plots.curves(
    shots,
    {"linear probe": means, "zero-shot": [zero_shot.accuracy] * len(shots)},
    "labelled pictures of each class",
    "right",
    "How many labels is a sentence worth?",
    log=2,
    bands={
        "linear probe": [(v.min(), v.max()) for v in curve.values()],
        "zero-shot": [zero_shot.interval] * len(shots),
    },
)

# %%
level = next((k for k in shots if curve[k].mean() >= zero_shot.accuracy), None)
for k in shots:
    print(f"{k:3} of each class: {curve[k].mean():.1%}, over five draws {curve[k].min():.1%} to {curve[k].max():.1%}")
print("level with zero-shot from", f"{level} of each class on" if level else f"more than {shots[-1]} of each class on")

# %% [markdown]
# In the paper the zero-shot classifier was worth about **4** labelled pictures of each class, on average over 27 data sets. Ours is worth more here: the test is just what the captions talk about. That changes at once when it is not.
#
# ## 2 · In the features, or in the words?
# Captions say "car" for every model of car, and "flower" for every species. **Predict first:** what will zero-shot and the probe do on these two, and on handwritten digits, which the world does not even contain?

# %%
tasks = {
    name: (CHALLENGES[name](600, 64, seed=5), CHALLENGES[name](300, 64)) for name in ("car models", "flower species")
}
whole = digits(1200, 64)
tasks["handwritten digits"] = (whole[:800], whole[800:])
rows = {}
for name, (learn, check) in tasks.items():
    words = choose(model, check)
    labels = linear_probe(
        features(model, learn.images), learn.targets, features(model, check.images), check.targets, strength=C
    )
    rows[name] = (words, labels.right)
    print(f"{name:18} chance {words.chance:.0%}   zero-shot {words.accuracy:.1%}   probe {labels.right.accuracy:.1%}")

# %%
plots.pairs(
    rows,
    ("zero-shot", "linear probe"),
    (plots.INK["text"], plots.INK["image"]),
    "What the words miss, and what the features have",
)

# %% [markdown]
# The tower **sees** the difference between a tulip and a rose. Nobody told it which word goes with which. Some of what the probe had to tell apart:

# %%
learn, check = tasks["flower species"]
plots.contact_sheet(miniclip.CaptionedImages(check.images[:8], [[word] for word in check.targets[:8]]), 8, 8)

# %% [markdown]
# ## 3 · Against what?
# A probe does well on good features. On what else? The same tower in four states: **never trained**; trained on the 40 **labels**; trained on **captions** of the same pictures; and the **pixels** themselves, with no tower at all.
# (The two trained ones ship with the package; `python -m miniclip study robustness` makes them.)

# %%
captions, labels = miniclip.load("captions-nano"), miniclip.load("labels-nano")
torch.manual_seed(0)
untrained = CLIP(captions.config, captions.tokenizer).to(captions.device).eval()
see = {
    "pixels": pixels,
    "never trained": lambda images: features(untrained, images),
    "labels": lambda images: features(labels, images),
    "captions": lambda images: features(captions, images),
}
tasks["place"] = (train_set[:800], test[:500])

# %%
table = {}
for name, (learn, check) in tasks.items():
    for state, look in see.items():
        target = (learn.facts["place"], check.facts["place"]) if name == "place" else (learn.targets, check.targets)
        table[name, state] = linear_probe(
            look(learn.images), target[0], look(check.images), target[1], strength=0.1
        ).right
plots.pairs(
    {name: [table[name, state] for state in see] for name in tasks},
    list(see),
    (plots.INK["other"], plots.INK["loss"], plots.INK["wrong"], plots.INK["image"]),
    "Linear probes on four kinds of features",
)

# %% [markdown]
# Read it by rows. **Captions** teach the tower what they talk about *and* what it needs to find it. **Labels** teach what decides the label; the place never did. And on digits, which look like nothing in the drawn world, plain pixels win:
# the paper found the same of CLIP on MNIST (section 6).
#
# ## 4 · Fine-tuning
# Now let the tower itself move, from its zero-shot classifier on. The task: name the forty things in **pencil sketches**, which these captions never had.
#
# **Predict first:** it will get better at sketches. What happens to the pictures it was good at?

# %%
sketches = single_objects(world, 1500, 48, seed=78, style="sketch")
home, drawn = single_objects(world, 500, 48, CHOICE_SEED), single_objects(world, 500, 48, CHOICE_SEED, "sketch")
q = questions(home)["object"]
words = tuple(dict.fromkeys([*q.labels]))
start = classifier(captions, q.names, "a picture of {}.")
before = [ask(captions, pictures)["object"] for pictures in (home, drawn)]
print(f"before: full pictures {before[0].accuracy:.1%}, sketches {before[1].accuracy:.1%}")

# %%
gentle = Recipe(lr=1e-4, muon_lr=3e-4, warmup=0.1)  # a tenth of what a training from nothing takes
tuned, history = fine_tune(
    captions, sketches, sketches.facts["object"], q.labels, start, seen=6400, recipe=gentle, progress=False
)

# %% [markdown]
# WiSE-FT (Wortsman et al. 2022): take the weights *between* the two, $(1-\alpha)\,\theta_{before} + \alpha\,\theta_{after}$. Nothing is trained.

# %%
from miniclip.baselines import Classifier, evaluate_rival

original = Classifier(captions, q.labels, start)
shares = (0, 0.25, 0.5, 0.75, 1)
found = {"full pictures": [], "sketches": []}
for share in shares:
    between = average(original, tuned, share)
    for name, pictures in (("full pictures", home), ("sketches", drawn)):
        found[name].append(evaluate_rival(between, pictures, pictures.facts["object"], q.labels))
plots.curves(
    shares,
    {name: [score.accuracy for score in scores] for name, scores in found.items()},
    "share of the fine-tuned weights",
    "right",
    "What fine-tuning gains and loses",
    bands={name: [score.interval for score in scores] for name, scores in found.items()},
)

# %%
for name, scores in found.items():
    print(f"{name:14}" + "".join(f"{score.accuracy:8.1%}" for score in scores))

# %% [markdown]
# And what of the rest that the tower could do? Nobody fine-tuned it on places; its text tower still asks.

# %%
for name, clip in (("before", captions), ("after", tuned.clip)):
    scores = ask(clip, home)
    print(f"{name:7}", "   ".join(f"{what} {score.brief}" for what, score in scores.items()))

# %% [markdown]
# ## Summary
# - Features once, logistic regression on top, the strength chosen on held-out training pictures: that is a linear probe.
# - Where zero-shot is at chance and the probe is not, the features have it and the words do not.
# - Fine-tuning buys one thing and pays with others; averaging weights gets a good part back for nothing.
#
# ## Exercises

# %%
answer("05.numbers")

# %%
answer("05.strength")

# %%
answer("05.failure")

# %%
answer("05.average")
