"""Write captions for the scenes of the drawn world, with a small grammar that chooses at random.

Captions are not labels. They name some of the things in a scene, sometimes with the colour, the
place or the weather, and not always in the same words. What `CaptionStyle` keeps at or near zero
(numbers, models, distance), a model trained on these captions cannot learn to name. Notebook 08
measures these failures, and repairs them by changing one of these probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

from miniclip.data.world.artists import ARTISTS
from miniclip.data.world.chatter import chatter
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
# Those that are true of any picture, in colour or not.
PLAIN_LEAD_INS = tuple(lead for lead in LEAD_INS if lead not in ("a photo of", "a drawing of"))
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
# The names of the variants of a concept, as an expert would say them. Captions use them only if
# `CaptionStyle.model` is above zero.
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
    """What captions mention, as probabilities from 0 to 1.

    Args:
        mention: that a thing is named (at least one always is).
        color, size, place, weather, light: that it is mentioned, if there is something to say.
        count: that several things of a kind are counted; otherwise only the plural is used.
        relation: that a caption says how two things are placed ("above"); otherwise it joins them
            by "and", "with", "next to" or "beside".
        synonym: that a thing is called by another word ("puppy").
        kind: that a thing is called by its kind ("an animal", "a thing").
        lead_in: that a caption begins with "a photo of" or the like.
        style: that a caption begins with the drawing style, if it is a sketch or a cut-out.
        manner: that a caption of a picture in full begins with the artist's manner of drawing ("a
            flat drawing of"), see `Artist.manners`.
        model: that a thing's variant is named ("a tulip" for a flower).
        verb: that an animal or bird by itself is said to be standing, resting, waiting or alone.
        bare: that a caption that would only name its things ("a dog") stays as it is. Otherwise it
            gets a beginning, because people who describe pictures hardly ever write so little.
        chatter: no probability: how many words a caption has besides, before and behind the rest,
            that no picture tells (see `chatter.py`).
    Raises:
        ValueError: for a probability outside 0 to 1 or a number of words below 0.
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
    manner: float = 0.0
    bare: float = 0.1
    chatter: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.chatter, int) and self.chatter >= 0):
            raise ValueError(f"chatter is a number of words, 0 or more, not {self.chatter!r}")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "chatter" and not 0 <= value <= 1:
                raise ValueError(f"{item.name} is a probability from 0 to 1, not {value}")


def _word(thing: Thing, style: CaptionStyle, rng: Random) -> str:
    """Choose the word for a thing: its variant's name, a synonym, its usual word, or its kind."""
    concept = thing.concept
    if concept.word in MODEL_NAMES and rng.random() < style.model:
        return MODEL_NAMES[concept.word][thing.variant]
    if concept.synonyms and rng.random() < style.synonym:
        return rng.choice(concept.synonyms)
    if rng.random() >= style.kind:
        return concept.word
    return rng.choice((concept.kind, "thing"))


def _noun_phrase(group: list[Thing], style: CaptionStyle, rng: Random, colorless: bool) -> str:
    """Name a group of things of one kind, such as "a small red dog" or "two dogs"."""
    first = group[0]
    word = _word(first, style, rng)
    # Make every random choice before looking at the scene, so that each group of things uses the
    # same number of random numbers here.
    say_size = rng.random() < style.size
    say_color = rng.random() < style.color
    size_word = rng.random()
    say_count = rng.random() < style.count
    adjectives = []
    size = "big" if first.size > 0.65 else "small" if first.size < 0.3 else ""
    if say_size and size:
        adjectives.append(SIZE_WORDS[size][int(size_word * 3)])
    same_color = all(thing.color == first.color for thing in group)
    if say_color and first.color and not colorless and same_color:
        adjectives.append(first.color)
    if len(group) == 1:
        phrase = " ".join([*adjectives, word])
        return phrase if word in PLURALS else article(phrase)
    phrase = " ".join([*adjectives, plural(word)])
    if say_count:
        return f"{NUMBERS[len(group)]} {phrase}"
    return rng.choice(("{}", "some {}", "a group of {}")).format(phrase)


def relation(a: Thing, b: Thing) -> str:
    """Say where `a` is as seen from `b`.

    Args:
        a, b: two things of a scene.
    Returns:
        "to the left of", "to the right of", "above" or "below".
    """
    dx, dy = a.at[0] - b.at[0], a.at[1] - b.at[1]
    if abs(dx) >= abs(dy):
        return "to the left of" if dx < 0 else "to the right of"
    return "above" if dy < 0 else "below"


def caption(scene: Scene, rng: Random, style: CaptionStyle = CaptionStyle()) -> str:
    """Write one caption for a scene.

    The order of the random draws is part of the data set: another order would change every caption.

    Args:
        scene: the scene.
        rng: the random numbers.
        style: the probabilities of what is mentioned.
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
    subject = _subject(scene, named, phrases, style, rng)
    where = _where(scene, style, rng, colorless)
    lead = _lead_in(scene, phrases, style, rng, bare=not where)
    if where and not lead and rng.random() < 0.2:  # begin with the place
        one_thing = len(phrases) == 1 and len(named[0]) == 1
        text = f"{where[0]} there is {subject}" if one_thing else f"{where[0]}, {subject}"
        text = " ".join([text, *where[1:]])
    else:
        text = " ".join([*([lead] if lead else []), subject, *where])
    text = text[0].upper() + text[1:] + "." if rng.random() < 0.5 else text
    if not style.chatter:
        return text
    words, before = chatter(style.chatter, rng), rng.randint(0, style.chatter)
    return " ".join([*words[:before], text, *words[before:]])


def _subject(
    scene: Scene, named: list[list[Thing]], phrases: list[str], style: CaptionStyle, rng: Random
) -> str:
    """Join the noun phrases of the named groups of things."""
    if not phrases:
        subject = "an empty place"
    elif len(named) == 2 and len(named[0]) == len(named[1]) == 1 and rng.random() < style.relation:
        subject = f"{phrases[0]} {relation(named[0][0], named[1][0])} {phrases[1]}"
    elif len(phrases) == 2:
        link = rng.choice(("and", "with", "next to", "and", "beside"))
        subject = f"{phrases[0]} {link} {phrases[1]}"
    elif len(phrases) == 1:
        subject = phrases[0]
    else:
        subject = ", ".join(phrases[:-1]) + f" and {phrases[-1]}"
    if (
        len(scene.things) == 1
        and scene.things[0].concept.kind in ("animal", "bird")
        and rng.random() < style.verb
    ):
        subject = f"{subject} {rng.choice(VERBS)}"
    return subject


def _where(scene: Scene, style: CaptionStyle, rng: Random, colorless: bool) -> list[str]:
    """Choose the phrases for place, weather and light, if they are mentioned at all."""
    where = [rng.choice(PLACES[scene.place].phrases)] if rng.random() < style.place else []
    for probability, options in (
        (style.weather, WEATHER_PHRASES.get(scene.weather)),
        (style.light, None if colorless else LIGHT_PHRASES.get(scene.light)),
    ):
        if options and rng.random() < probability:
            where.append(rng.choice(options))
    return where


def _lead_in(scene: Scene, phrases: list[str], style: CaptionStyle, rng: Random, bare: bool) -> str:
    """Choose how the caption begins: "a photo of", "there are", ..., or "" for no lead-in.

    Args:
        scene: the scene.
        phrases: names of the things that the caption speaks of.
        style: the probabilities of what is mentioned.
        rng: the random numbers.
        bare: whether the caption says nothing else.
    """
    has_lead_in = rng.random() < (style.lead_in if scene.style == "full" else style.style)
    lead = rng.choice(STYLE_LEAD_INS[scene.style]) if has_lead_in else ""
    # What a style leaves at its end (no manners, bare captions) uses no random number.
    if style.manner and scene.things and scene.style == "full" and rng.random() < style.manner:
        lead = rng.choice(ARTISTS[scene.things[0].artist].manners)
    if bare and not lead and style.bare < 1 and rng.random() >= style.bare:
        lead = rng.choice(LEAD_INS if scene.style == "full" else PLAIN_LEAD_INS)
    is_plural = (
        phrases
        and not phrases[0].startswith(("a ", "an "))
        and phrases[0].split()[-1] not in UNCOUNTED
    )
    return OF_MANY.get(lead, lead) if is_plural else lead
