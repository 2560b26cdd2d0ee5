"""What people would write under a scene of the drawn world: a small grammar with a probability for every choice.

Captions are never labels. They name some of what is there, sometimes its colour, its place or the weather, in one word or
another. What `CaptionStyle` keeps at or near zero (numbers, models, distance) a model trained on these captions cannot
learn to name: the failures that notebook 08 measures, and repairs by turning one of these knobs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

from miniclip.data.world.places import PLACES
from miniclip.data.world.scene import Scene, Thing
from miniclip.data.world.things import PLURALS, UNCOUNTED, article, plural

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
OF_MANY = {"there is": "there are", "here is": "here are", "this is": "these are"}
LEAD_INS = (
    "a photo of",
    "a picture of",
    "an image of",
    "a drawing of",
    "there is",
    "here is",
    "this is",
    "look at",
    "i can see",
)
STYLE_LEAD_INS = {
    "full": LEAD_INS,
    "sketch": (
        "a pencil sketch of",
        "a sketch of",
        "a line drawing of",
        "a black and white drawing of",
    ),
    "cutout": ("a paper cut-out of", "a cut-out of", "a flat shape of", "a collage of"),
}
WEATHER_PHRASES = {
    "rain": ("in the rain", "on a rainy day"),
    "snowfall": ("while it snows", "in falling snow"),
    "fog": ("in the fog", "on a misty day"),
}
LIGHT_PHRASES = {
    "sunset": ("at sunset", "in the evening light"),
    "dusk": ("at dusk", "in dim light"),
}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge")}
VERBS = ("standing", "resting", "waiting", "alone")
# What a model of a family is called by those who know; captions say it only where `CaptionStyle.model` is above zero.
MODEL_NAMES = {
    "car": ("hatchback", "jeep", "racing car", "taxi", "police car", "pickup", "minivan"),
    "flower": (
        "tulip",
        "rose",
        "sunflower",
        "buttercup",
        "cherry blossom",
        "hibiscus",
        "lotus",
        "hyacinth",
    ),
}


@dataclass(frozen=True)
class CaptionStyle:
    """How likely a caption is to mention each thing there is to mention, as probabilities from 0 to 1.

    Args:
        mention: name each of the things (at least one always is).
        color, size, place, weather, light: say them, of what has any.
        count: give the number where there are several of a kind; otherwise the plural alone.
        relation: say where two things stand to each other; otherwise "and", "with", "next to".
        synonym, kind: use another word ("puppy"), or the kind ("an animal", "a thing"), for a thing.
        lead_in: begin with "a photo of" or the like; style: begin with the drawing style, where it is not the full one.
        model: name the model of a family ("a tulip" for a flower).
        verb: let an animal stand or rest.
    Raises:
        ValueError: for a value outside 0 to 1.
    """

    mention: float = 0.8
    color: float = 0.7
    size: float = 0.1
    place: float = 0.5
    weather: float = 0.4
    light: float = 0.3
    count: float = 0.03
    relation: float = 0.3
    synonym: float = 0.15
    kind: float = 0.08
    lead_in: float = 0.4
    style: float = 0.7
    model: float = 0.0
    verb: float = 0.15

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{item.name} is a probability from 0 to 1, not {value}")


def _word(thing: Thing, style: CaptionStyle, rng: Random) -> str:
    concept = thing.concept
    if concept.word in MODEL_NAMES and rng.random() < style.model:
        return MODEL_NAMES[concept.word][thing.variant]
    if concept.synonyms and rng.random() < style.synonym:
        return rng.choice(concept.synonyms)
    if rng.random() >= style.kind:
        return concept.word
    return rng.choice((concept.kind, "thing"))


def _noun_phrase(group: list[Thing], style: CaptionStyle, rng: Random, colorless: bool) -> str:
    first, word = group[0], _word(group[0], style, rng)
    before = []
    # Draw every choice before looking at what there is: the same numbers are used up whatever the scene holds.
    say_size, say_color, size_word, say_count = (
        rng.random() < style.size,
        rng.random() < style.color,
        rng.random(),
        rng.random() < style.count,
    )
    height = "big" if first.size > 0.65 else "small" if first.size < 0.3 else ""
    if say_size and height:
        before.append(SIZE_WORDS[height][int(size_word * 3)])
    if (
        say_color
        and first.color
        and not colorless
        and all(thing.color == first.color for thing in group)
    ):
        before.append(first.color)
    if len(group) == 1:
        return (
            article(" ".join([*before, word])) if word not in PLURALS else " ".join([*before, word])
        )
    many = " ".join([*before, plural(word)])
    return (
        f"{NUMBERS[len(group)]} {many}"
        if say_count
        else rng.choice(("{}", "some {}", "a group of {}")).format(many)
    )


def relation(a: Thing, b: Thing) -> str:
    """Where `a` is, seen from `b`: "to the left of", "to the right of", "above" or "below"."""
    dx, dy = a.at[0] - b.at[0], a.at[1] - b.at[1]
    if abs(dx) >= abs(dy):
        return "to the left of" if dx < 0 else "to the right of"
    return "above" if dy < 0 else "below"


def caption(scene: Scene, rng: Random, style: CaptionStyle = CaptionStyle()) -> str:
    """Write one caption for a scene.

    Args:
        scene: the scene.
        rng: source of chance.
        style: how likely each kind of mention is.
    Returns:
        a sentence or a phrase.
    """
    groups: dict[str, list[Thing]] = {}
    for thing in scene.things:
        groups.setdefault(thing.concept.word, []).append(thing)
    named = [group for group in groups.values() if rng.random() < style.mention]
    if groups and not named:
        named = [rng.choice(list(groups.values()))]
    rng.shuffle(named)
    colorless = scene.style == "sketch"  # lines alone show neither colours nor light
    phrases = [_noun_phrase(group, style, rng, colorless) for group in named]
    if not phrases:
        subject = "an empty place"
    elif len(named) == 2 and len(named[0]) == len(named[1]) == 1 and rng.random() < style.relation:
        subject = f"{phrases[0]} {relation(named[0][0], named[1][0])} {phrases[1]}"
    elif len(phrases) == 2:
        subject = (
            f"{phrases[0]} {rng.choice(('and', 'with', 'next to', 'and', 'beside'))} {phrases[1]}"
        )
    else:
        subject = (
            ", ".join(phrases[:-1]) + f" and {phrases[-1]}" if len(phrases) > 1 else phrases[0]
        )
    if (
        len(scene.things) == 1
        and scene.things[0].concept.kind in ("animal", "bird")
        and rng.random() < style.verb
    ):
        subject = f"{subject} {rng.choice(VERBS)}"
    where = [rng.choice(PLACES[scene.place].phrases)] if rng.random() < style.place else []
    for said, options in (
        (style.weather, WEATHER_PHRASES.get(scene.weather)),
        (style.light, None if colorless else LIGHT_PHRASES.get(scene.light)),
    ):
        if options and rng.random() < said:
            where.append(rng.choice(options))
    begins = rng.random() < (style.lead_in if scene.style == "full" else style.style)
    lead = rng.choice(STYLE_LEAD_INS[scene.style]) if begins else ""
    if (
        phrases
        and not phrases[0].startswith(("a ", "an "))
        and phrases[0].split()[-1] not in UNCOUNTED
    ):
        lead = OF_MANY.get(lead, lead)
    if where and not lead and rng.random() < 0.2:
        text = (
            f"{where[0]} there is {subject}"
            if len(phrases) == 1 and len(named[0]) == 1
            else f"{where[0]}, {subject}"
        )
        text = " ".join([text, *where[1:]])
    else:
        text = " ".join([*([lead] if lead else []), subject, *where])
    return text[0].upper() + text[1:] + "." if rng.random() < 0.5 else text
