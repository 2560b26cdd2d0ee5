"""Prompt templates, sentences to put class names into: one good template, and sets of many to
ensemble (paper 3.1.4).

Class names come with their article ("a dog", "an owl", "scissors"), so a template has none in
front of the braces. We wrote all of these templates ourselves. Taught in notebook 04.
"""

from __future__ import annotations

SIMPLE = "a picture of {}."

# Ways in which people talk about pictures, grouped by what a template adds to the bare name.
PLAIN = (
    "{}",
    "{}.",
    "this is {}.",
    "here is {}.",
    "there is {}.",
    "look at {}.",
    "i can see {}.",
    "you can see {}.",
    "what you see is {}.",
    "it shows {}.",
    "one can make out {}.",
    "we spotted {}.",
    "and this would be {}.",
)
PICTURE = (
    "a picture of {}.",
    "a photo of {}.",
    "an image of {}.",
    "a drawing of {}.",
    "a snapshot of {}.",
    "a view of {}.",
    "my picture of {}.",
    "our best photo of {}.",
    "a nice image of {}.",
    "a simple drawing of {}.",
    "a clear picture of {}.",
    "a bright photo of {}.",
    "a dark photo of {}.",
    "a blurry picture of {}.",
    "a grainy image of {}.",
    "a colorful picture of {}.",
    "a framed picture of {}.",
    "an old photo of {}.",
    "a postcard with {}.",
    "a page with {}.",
    "a scene with {}.",
)
SIZE = (
    "a picture of {} up close.",
    "a picture of {} from far away.",
    "a photo of {} in the middle.",
    "a photo of {} at the edge.",
    "{} filling the picture.",
    "{} in the distance.",
    "{} seen from the side.",
    "{} in full view.",
    "only a part of {}.",
    "{} and nothing else.",
    "{} alone.",
    "{} standing.",
    "{} resting.",
    "{} waiting.",
)
PLACE = (
    "{} on the grass.",
    "{} in a meadow.",
    "{} at the beach.",
    "{} on the sand.",
    "{} in the snow.",
    "{} on the street.",
    "{} in the city.",
    "{} at night.",
    "{} under the stars.",
    "{} in a room.",
    "{} indoors.",
    "{} on the sea.",
    "{} on the water.",
    "{} in the desert.",
    "{} in the forest.",
    "{} in the woods.",
    "{} in the mountains.",
    "{} outdoors.",
)
WEATHER = (
    "{} in the rain.",
    "{} on a rainy day.",
    "{} in the fog.",
    "{} on a misty day.",
    "{} while it snows.",
    "{} at sunset.",
    "{} in the evening light.",
    "{} at dusk.",
    "{} in dim light.",
    "{} in full daylight.",
    "{} on a fine day.",
)
STORY = (
    "in the picture there is {}.",
    "in the middle there is {}.",
    "on the left there is {}.",
    "on the right there is {}.",
    "guess what: {}.",
    "a friend drew {}.",
    "someone left {} here.",
    "nobody expected {}.",
    "a story about {}.",
    "the caption says {}.",
    "look, {}!",
)

# The whole ensemble: the six groups above.
ALL: tuple[str, ...] = PLAIN + PICTURE + SIZE + PLACE + WEATHER + STORY

# For pictures in two special styles, which the templates above do not name.
SKETCH = (
    "a pencil sketch of {}.",
    "a sketch of {}.",
    "a line drawing of {}.",
    "a black and white drawing of {}.",
)
CUTOUT = ("a paper cut-out of {}.", "a cut-out of {}.", "a flat shape of {}.", "a collage of {}.")

# The sets that the prompt widgets offer, by the names that they show.
SETS: dict[str, tuple[str, ...]] = {
    "bare name": ("{}",),
    "simple": (SIMPLE,),
    "picture": PICTURE,
    "place": PLACE,
    "weather": WEATHER,
    "all": ALL,
    "sketch": SKETCH,
    "cut-out": CUTOUT,
}
