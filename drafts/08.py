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
# # 08 · Failures
#
# The authors of CLIP list what it is poor at: models of cars, species of flowers, counting, the distance to the nearest car, and anything truly unlike its training, such as handwritten digits
# (Radford et al. 2021, sections 3.1.5 and 6). Others added: which thing has which colour, "no", and words written on pictures. Ours was trained on a drawn world whose captions are silent about the same things. **Does it fail in the same places, and why?**
#
# By the end you can
# - make a benchmark from what is known about scenes, with its chance level;
# - tell whether a fault lies in the pictures' features or in the captions, with a linear probe;
# - repair a failure by changing nothing but the captions;
# - check that test pictures were not in the training.

# %%
import numpy as np

import miniclip
from miniclip import plots, studies, widgets
from miniclip.challenges import CHALLENGES, attributes, choose, digits, negation, sides, written
from miniclip.homework import answer
from miniclip.probe import features, linear_probe
from miniclip.retrieval import duplicates, likeness
from miniclip.zeroshot import image_features, wilson

model = miniclip.load("picturebook")

# %% [markdown]
# ## 1 · Nine things to fail at
# Each picture comes with the sentences that a model has to choose from. One picture of each:

# %%
tasks = {name: make(n=300, size=64) for name, make in CHALLENGES.items()}
images = np.concatenate([task.images[4:5] for task in tasks.values()])
plots.contact_sheet(
    miniclip.CaptionedImages(
        images, [[f"{name}: {task.candidates[4][task.right[4]]}"] for name, task in tasks.items()]
    ),
    9,
    9,
)

# %% [markdown]
# **Predict first:** for each of the nine, is it above chance? Write your guesses down.

# %%
words = {name: choose(model, task) for name, task in tasks.items()}
for name, score in words.items():
    print(f"{name:28} {score}")

# %% [markdown]
# ### Play
# Choose a task, and look at the mistakes. Are there any that you would have made?

# %%
widgets.FailureLab(model)

# %% [markdown]
# ## 2 · In the pictures, or in the words?
# If a linear probe on the *same features* gets it right, the tower has seen it, and what is missing is a word. Where sentences differ from picture to picture, one pair is fixed for the probe (a dog and a car; red and blue).
#
# **Predict first:** which of them will the probe solve? A hint: features are the mean over all places of the picture.

# %%
pair, colors = ("dog", "car"), ("red", "blue")
asked = {
    name: CHALLENGES[name] for name in ("car models", "flower species", "counting", "distance to the nearest car")
}
asked |= {
    "left and right": lambda **o: sides(words=pair, **o),
    "whose colour": lambda **o: attributes(words=pair, colors=colors, **o),
    "no": lambda **o: negation(words=pair, **o),
}
probes = {}
for name, make in asked.items():
    learn, check = make(n=600, size=64, seed=5), make(n=300, size=64, seed=0)
    probes[name] = linear_probe(
        features(model, learn.images), learn.targets, features(model, check.images), check.targets, strength=0.1
    ).right
learn, check = digits(1500)[:1000], digits(1500)[1000:]
probes["handwritten digits"] = linear_probe(
    features(model, learn.images), learn.targets, features(model, check.images), check.targets, strength=0.1
).right

# %%
plots.pairs(
    {name: (words[name], probes[name]) for name in probes},
    ("zero-shot", "linear probe"),
    (plots.INK["text"], plots.INK["image"]),
    "What the words miss, and what the features have",
)

# %%
for name, probe in probes.items():
    print(f"{name:28} chance {probe.chance:4.0%}   zero-shot {words[name].brief:20}   probe {probe.brief}")

# %% [markdown]
# Most of these faults are not in the eye. The tower knows the species; no caption ever told it the name. Where the probe, too, stays low, the features themselves lack it: nothing in the loss asked for it.
#
# ## 3 · A bag of words?
# "A dog to the left of a car" and "a car to the left of a dog" are the same words. How different are they to the text tower, and how different are two sentences with another word?

# %%
texts = [
    "a dog to the left of a car",
    "a car to the left of a dog",
    "a dog to the left of a bus",
    "a dog on the beach",
]
vectors = miniclip.zeroshot.text_features(model, texts)
plots.similarity(vectors @ vectors.T, None, texts, "cosine of text and text", False, (-0.2, 1), rows_are=texts)

# %% [markdown]
# Changing *who is left* moves the vector less than changing *what is there*: with other pictures as the only negatives, the order of the words hardly ever decides anything (Yuksekgonul et al. 2023).
#
# ## 4 · A word on the picture
# Write the wrong word across a picture, and OpenAI's CLIP reads it (Goh et al. 2021). **Predict first:** will ours?

# %%
clean, attacked = written(text=False), written()
for name, task in (("without the word", clean), ("with the wrong word", attacked)):
    print(f"{name:20} {choose(model, task)}")
plots.contact_sheet(
    miniclip.CaptionedImages(
        attacked.images[:4], [[texts[right]] for texts, right in zip(attacked.candidates[:4], attacked.right)]
    ),
    4,
    4,
)

# %% [markdown]
# It is not fooled, and that is no merit: it never learned to *read*, since nothing in its world is written. Robustness out of ignorance.
#
# ## 5 · The experiment: turn one knob
# If the captions are the cause, other captions must be the cure. Two models were trained on **the same pictures in the same order**, one with captions that never count and say "car" and "flower", one with captions that do (`python -m miniclip study repair`). What they were told about one picture:

# %%
for name, style in (("silent", studies.SILENT), ("telling", studies.TELLING)):
    data = studies.counted_world(400, 64, 0, style)
    row = int(np.argmax((data.facts["count"] == 4) & (data.facts["objects"][:, 0] == data.facts["objects"][:, 3])))
    print(f"{name:8}", data.captions[row][:3])

# %%
silent, telling = miniclip.load("silent-nano"), miniclip.load("telling-nano")
for name in ("counting", "car models", "flower species", "left and right"):
    a, b = choose(silent, tasks[name]), choose(telling, tasks[name])
    print(f"{name:16} chance {a.chance:4.0%}   silent {a.brief:20}   telling {b.brief}")

# %% [markdown]
# The last row is the control: both models' captions say left and right equally seldom. How the abilities came, along the two trainings, and that naming things did not suffer:

# %%
study = studies.result("repair")
seen = [row["seen"] for row in study["telling"]]
series = {
    f"{what}, {name}": [row[what] for row in study[name]]
    for what in ("counting", "things")
    for name in ("silent", "telling")
}
n = study["about"]["test pictures"]
plots.curves(
    seen,
    series,
    "pictures seen",
    "right",
    "Captions that count make a model that counts",
    bands={name: [wilson(round(v * n), n) for v in values] for name, values in series.items()},
    ylim=(0, 1),
)

# %% [markdown]
# **Nothing else was changed:** not the model, the loss, the pictures or the budget. "CLIP cannot count" is a sentence about captions.
#
# ## 6 · Were the test pictures in the training?
# A model may be good at a test because it has seen it. The authors of CLIP looked for near duplicates, and compared the accuracy with and without them (section 5). Exact copies are found by a hash, near ones by their features:

# %%
train_set = miniclip.data.picturebook(3000, seed=0, size=64)
test_set = miniclip.data.picturebook(300, seed=1_000_000, size=64)
leaked = miniclip.CaptionedImages(
    np.concatenate([test_set.images, train_set.images[:3]]), test_set.captions + train_set.captions[:3]
)
print("copies in the honest test:", len(duplicates(test_set.images, train_set.images)))
print("copies after a leak of 3: ", len(duplicates(leaked.images, train_set.images)))

# %%
cosines, rows = likeness(image_features(model, test_set), image_features(model, train_set))
near = cosines.argsort(descending=True)[:4].tolist()
pairs = np.stack([pixels for row in near for pixels in (test_set.images[row], train_set.images[rows[row]])])
names = [name for row in near for name in (f"test, cosine {cosines[row]:.2f}", "its nearest in training")]
plots.contact_sheet(miniclip.CaptionedImages(pairs, [[name] for name in names]), 8, 8)

# %% [markdown]
# The nearest pairs are *alike*, not the same: near in meaning is not yet a copy. Somebody has to look.
#
# ## Summary
# - A benchmark needs a truth, candidates and a chance level. Scenes whose facts are known give all three.
# - Zero-shot at chance and a probe far above it: the fault is in the captions. Both at chance: in the features.
# - Change the captions, and the ability appears.
#
# ## Exercises

# %%
answer("08.chance")

# %%
answer("08.probe")

# %%
answer("08.knob")

# %%
answer("08.leak")
