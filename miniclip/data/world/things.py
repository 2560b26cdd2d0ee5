"""What the nouns of the drawn world stand for: which art shows each, and which words captions use.

The nouns themselves, the art of each and its words are listed in `nouns.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from miniclip.data.world.artists import artwork, drawn_codes
from miniclip.data.world.nouns import MORE, TABLE

PLURALS = {
    "cherries",
    "grapes",
    "scissors",
    "fries",
    "gloves",
    "glasses",
    "mittens",
    "chips",
    "french fries",
    "spectacles",
    "eyeglasses",
    "wine glasses",
    "dice",
    "two drinks",
    "blueberries",
    "pancakes",
    "skis",
    "sunglasses",
    "dark glasses",
    "jeans",
    "trousers",
    "maracas",
    "headphones",
}
UNCOUNTED = {
    "corn",
    "broccoli",
    "bread",
    "cheese",
    "cattle",
    "food",
    "fruit",
    "clothing",
    "furniture",
    "coral",
    "garlic",
    "french bread",
    "bacon",
    "popcorn",
    "sushi",
    "spaghetti",
    "pasta",
}
IRREGULAR = {
    "mouse": "mice",
    "snowman": "snowmen",
    "computer mouse": "computer mice",
    "little mouse": "little mice",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "leaf": "leaves",
    "knife": "knives",
    "squid": "squid",
    "shrimp": "shrimp",
    "cactus": "cacti",
    "loaf": "loaves",
    "piglet": "piglets",
    "die": "dice",
    "pony": "ponies",
    "cherry": "cherries",
    "body": "bodies",
    "person": "people",
    "wolf": "wolves",
    "moose": "moose",
    "elk": "elk",
    "bison": "bison",
    "buffalo": "buffalo",
    "ox": "oxen",
    "blowfish": "blowfish",
    "pufferfish": "pufferfish",
    "jellyfish": "jellyfish",
    "goose": "geese",
    "mango": "mangoes",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "volcano": "volcanoes",
    "tornado": "tornadoes",
    "policeman": "policemen",
}


VOWEL_SOUNDS = ("um", "ug", "hour")  # words that take "an" although "aeio" does not begin them


@dataclass(frozen=True)
class Concept:
    """What a noun stands for, and how it is drawn and named.

    Args:
        name: its unique name, such as "flying bat".
        word: what captions call it, such as "bat"; several concepts may share a word.
        art: the code of each variant.
        family: OpenMoji's colour family that paint replaces, by art code; only for art that can be
            painted.
        synonyms: other words for it.
        kind: the more general word for it, such as "animal".
        home: the places where it is found more often.
        starter: whether it is a starter noun.
        common: whether it is one of the common nouns, which are those of the default world.
    """

    name: str
    word: str
    art: tuple[str, ...]
    family: dict[str, str]
    synonyms: tuple[str, ...]
    kind: str
    home: tuple[str, ...]
    starter: bool
    common: bool

    @property
    def paintable(self) -> bool:
        """Whether any of its variants can be painted."""
        return bool(self.family)

    def variants(self, artist: str = "openmoji") -> list[int]:
        """The variants that an artist drew, as indices into `art`."""
        drawn = drawn_codes(artist)
        return [row for row, code in enumerate(self.art) if code.partition(">")[0] in drawn]

    def can_be_painted(self, variant: int, artist: str = "openmoji") -> bool:
        """Whether an artist's drawing of a variant can be painted: OpenMoji's need a colour family,
        those of others a colour that dominates them."""
        code = self.art[variant]
        if artist == "openmoji":
            return code in self.family
        return artwork(code, artist).hue is not None


def _parse(line: str, common: bool) -> Concept:
    """Read one line of a table of `nouns.py`."""
    cells = [cell.strip() for cell in line.split("|")] + [""]
    name, _, word = cells[0].lstrip("* ").partition(" = ")
    art = [code.partition(":") for code in cells[1].split()]
    return Concept(
        name=name,
        word=word or name,
        art=tuple(code for code, _, _ in art),
        family={code: family for code, _, family in art if family},
        synonyms=tuple(synonym.strip() for synonym in cells[2].split(",") if synonym.strip()),
        kind=cells[3],
        home=tuple(cells[4].split()),
        starter=cells[0].startswith("*"),
        common=common,
    )


CONCEPTS: dict[str, Concept] = {
    concept.name: concept
    for table in (TABLE, MORE)
    for concept in (_parse(line, common=table is TABLE) for line in table.strip().splitlines())
}
WORDS: tuple[str, ...] = tuple(dict.fromkeys(concept.word for concept in CONCEPTS.values()))
STARTER: tuple[str, ...] = tuple(name for name, concept in CONCEPTS.items() if concept.starter)
COMMON: tuple[str, ...] = tuple(name for name, concept in CONCEPTS.items() if concept.common)


def article(noun: str) -> str:
    """Put the indefinite article before a noun, if it takes one.

    Args:
        noun: a noun in the singular, possibly with adjectives before it.
    Returns:
        for example "a dog" for "dog", "an owl" for "owl", and "scissors" for "scissors".
    """
    if noun in PLURALS or noun in UNCOUNTED or noun.split()[-1] in UNCOUNTED:
        return noun
    return f"an {noun}" if noun[0] in "aeio" or noun.startswith(VOWEL_SOUNDS) else f"a {noun}"


def plural(noun: str) -> str:
    """Form the plural of a noun of this world.

    Args:
        noun: a noun in the singular.
    Returns:
        for example "buses" for "bus", and "mice" for "mouse".
    """
    if noun in PLURALS or noun in UNCOUNTED:
        return noun
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if " of " in noun:
        head, rest = noun.split(" of ", 1)
        return f"{plural(head)} of {rest}"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
