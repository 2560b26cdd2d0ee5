"""The nouns of the drawn world: which art shows each, and which words captions use for it.

Each line of `TABLE` is a concept, which is what a noun stands for:

    name | art codes, each with its colour family | other words | kind | home places

The codes are Unicode's, and every artist draws some of them (see `artists.py`). The colour family
says which of OpenMoji's tones paint replaces; art without one cannot be painted. A star
marks the starter nouns, the world of a first five-minute training. The name `crane bird = crane`
means that captions call this concept "crane"; in this way two concepts can share one word. All
variants of a concept, such as the models of a car, are on one line. A backslash continues a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from miniclip.data.world.artists import artwork, drawn_codes

TABLE = """
* dog | 1F415:orange 1F429:grey | puppy, hound | animal
* cat | 1F408:orange | kitten, kitty | animal
rabbit | 1F407:black | bunny, hare | animal
fox | 1F98A | red fox | animal
bear | 1F43B:brown | grizzly | animal
panda | 1F43C | panda bear | animal
koala | 1F428 | | animal
tiger | 1F405 | | animal
lion | 1F981 | | animal
cow | 1F404 | cattle | animal
pig | 1F416 | hog, piglet | animal
sheep | 1F411 | lamb | animal
goat | 1F410 | | animal
camel | 1F42B | | animal
llama | 1F999 | | animal
* giraffe | 1F992 | | animal
* elephant | 1F418:grey | | animal
rhino | 1F98F | rhinoceros | animal
hippo | 1F99B | hippopotamus | animal
kangaroo | 1F998 | | animal
horse | 1F40E:brown | pony | animal
zebra | 1F993 | | animal
deer | 1F98C | stag | animal
monkey | 1F412 | | animal
gorilla | 1F98D | ape | animal
* frog | 1F438:green | toad | animal
crocodile | 1F40A | alligator | animal
* turtle | 1F422 | tortoise | animal
lizard | 1F98E | | animal
* snake | 1F40D:green | serpent | animal
dinosaur | 1F995:brown 1F996:green | | animal
dragon | 1F409:green | | animal
rooster = chicken | 1F413 | rooster, hen | animal | grass
turkey | 1F983 | | bird
duck | 1F986 | | bird
swan | 1F9A2 | | bird
* owl | 1F989 | | bird
flamingo | 1F9A9 | | bird
crane bird = crane | 1F9A9>crane | tall crane | bird | sea beach
peacock | 1F99A | | bird
parrot | 1F99C | | bird
* penguin | 1F427 | | bird
eagle | 1F985 | | bird
flying bat = bat | 1F987 | flying bat | animal | night forest
mouse animal = mouse | 1F401 | little mouse | animal | grass forest
seal animal = seal | 1F9AD | | animal | beach sea
* whale | 1F40B:blue | | animal
dolphin | 1F42C | | animal
* fish | 1F41F:blue 1F420 | | animal
shark | 1F988 | | animal
* octopus | 1F419:red | | animal
crab | 1F980:red | | animal
lobster | 1F99E | | animal
shrimp | 1F990 | prawn | animal
squid | 1F991 | | animal
snail | 1F40C | | animal
* butterfly | 1F98B:blue | | insect
caterpillar | 1F41B:green | | insect
ant | 1F41C | | insect
bee | 1F41D | bumblebee | insect
ladybug | 1F41E:red | ladybird | insect
* spider | 1F577 | | animal
scorpion | 1F982 | | animal
mosquito | 1F99F | | insect
hedgehog | 1F994 | | animal
squirrel | 1F43F | | animal
otter | 1F9A6 | | animal
sloth | 1F9A5 | | animal
beaver | 1F9AB | | animal
* car | 1F697:red 1F699:blue 1F3CE:red 1F695:yellow 1F693:grey 1F6FB:red 1F690:grey \
| automobile | vehicle
* bus | 1F68C:red | coach | vehicle
truck | 1F69A:white 1F69B:black | lorry | vehicle
* tractor | 1F69C:green | | vehicle
ambulance | 1F691 | | vehicle
fire engine | 1F692 | fire truck | vehicle
* bicycle | 1F6B2 | bike, cycle | vehicle
motorcycle | 1F3CD:red | motorbike | vehicle
scooter | 1F6F5:red | moped | vehicle
* train | 1F686 1F682 | | vehicle
* airplane | 2708 1F6E9:orange | plane, aeroplane | vehicle
helicopter | 1F681:red | chopper | vehicle
* rocket | 1F680:red | spaceship | vehicle
sailboat | 26F5 | sailing boat | vehicle | sea
canoe | 1F6F6:blue | kayak | vehicle
flying saucer | 1F6F8 | ufo | vehicle
* apple | 1F34E:red 1F34F:green | | fruit
pear | 1F350 | | fruit
orange fruit = orange | 1F34A | tangerine | fruit | room
lemon | 1F34B | | fruit
* banana | 1F34C | | fruit
watermelon | 1F349 | slice of melon | fruit
grapes | 1F347 | bunch of grapes | fruit
strawberry | 1F353 | | fruit
cherries | 1F352 | | fruit
peach | 1F351 | | fruit
* pineapple | 1F34D | | fruit
coconut | 1F965 | | fruit
tomato | 1F345 | | food
eggplant | 1F346 | aubergine | food
avocado | 1F951 | | food
broccoli | 1F966 | | food
* carrot | 1F955 | | food
corn | 1F33D | corn cob | food
chili | 1F336:red | chili pepper | food
cucumber | 1F952 | | food
* mushroom | 1F344:red | toadstool | plant
bread | 1F35E | loaf | food
cheese | 1F9C0 | | food
* pizza | 1F355 | slice of pizza | food
hamburger | 1F354 | burger | food
fries | 1F35F:red | chips, french fries | food
hot dog | 1F32D | sausage | food
egg | 1F95A | | food
cookie | 1F36A | biscuit | food
cake | 1F370 1F382 | birthday cake | food
donut | 1F369:yellow | doughnut | food
ice cream | 1F366 | | food
lollipop | 1F36D:red | candy | food
chicken leg = chicken | 1F357 | chicken leg, drumstick | food | room
* tree | 1F333 1F332:green | | plant
palm tree = palm | 1F334 | palm tree | plant | beach desert
palm of a hand = palm | 270B | open palm | hand | room
* cactus | 1F335:green | | plant
* flower | 1F337:orange 1F339:red 1F33B:yellow 1F33C:yellow 1F338:pink 1F33A:pink 1FAB7:pink \
1FABB:purple | blossom | plant
leaf | 1F343:green 1F341:orange | | plant
* umbrella | 2602:purple 2614:purple | parasol | thing
* balloon | 1F388:red | | toy
soccer ball | 26BD | football | toy
basketball | 1F3C0:orange | | toy
kite | 1FA81:pink | | toy
book | 1F4D5:red | | thing
chair | 1FA91:yellow | seat | furniture
bed | 1F6CF:blue | | furniture
couch | 1F6CB:blue | sofa | furniture
light bulb | 1F4A1 | bulb | thing
clock | 23F0 | alarm clock | thing
watch | 231A | wristwatch | thing
phone | 1F4F1 | cell phone, mobile | thing
laptop | 1F4BB | computer | thing
computer mouse = mouse | 1F5B1 | computer mouse | thing | room street
camera | 1F4F7 | | thing
television | 1F4FA | tv, screen | thing
* guitar | 1F3B8:red | | instrument
violin | 1F3BB | fiddle | instrument
drum | 1F941:red | | instrument
trumpet | 1F3BA | | instrument
* key | 1F511:orange | | thing
hammer | 1F528 | | tool
* scissors | 2702 | | tool
pencil | 270F:orange | crayon | tool
cup | 2615 | mug | thing
bottle | 1F37C:blue | baby bottle | thing
knife | 1F52A | | tool
spoon | 1F944 | | tool
* house | 1F3E0 | home, cottage | building
castle | 1F3F0 | | building
tent | 26FA:yellow | | building
hat | 1F452:yellow | | clothing
top hat | 1F3A9 | | clothing
shirt | 1F455:blue | | clothing
dress | 1F457:blue | gown | clothing
shoe | 1F45F:grey | sneaker | clothing
boot | 1F462:brown | | clothing
sock | 1F9E6:orange | | clothing
gloves | 1F9E4:red | mittens | clothing
scarf | 1F9E3:red | | clothing
handbag | 1F45C:brown | purse, bag | thing
backpack | 1F392:red | rucksack | thing
* crown | 1F451:yellow | | thing
ring | 1F48D | | thing
eyeglasses = glasses | 1F453 | spectacles | thing | room
wine glasses = glasses | 1F942 | wine glasses, two drinks | thing | beach night
gift | 1F381:yellow | present | thing
candle | 1F56F | | thing
bell | 1F514:yellow | | thing
trophy | 1F3C6 | cup | thing
teddy bear | 1F9F8:brown | teddy | toy
* robot | 1F916:grey | | toy
* snowman | 26C4 | | thing
broom | 1F9F9 | brush | tool
basket | 1F9FA | | thing
bucket | 1FAA3:blue | pail | thing
ladder | 1FA9C:brown | | tool
machine crane = crane | 1F3D7 | building crane | machine | street
hair bow = bow | 1F380:red | ribbon | clothing | room
archery bow = bow | 1F3F9 | bow and arrow | tool | forest grass
metal bolt = bolt | 1F529 | nut and bolt | thing | room
lightning bolt = bolt | 26A1:yellow | lightning bolt | thing | mountains sea
cricket bat = bat | 1F3CF | wooden bat, cricket bat | toy | grass
* anchor | 2693 | | thing
telescope | 1F52D | | thing
envelope | 2709:grey | letter | thing
flag | 1F6A9:red | | thing
traffic light | 1F6A6 | stoplight | thing
door | 1F6AA:brown | | furniture
mailbox | 1F4EB:blue | letter box | thing
toothbrush | 1FAA5 | | thing
bathtub | 1F6C1 | tub | furniture
toilet | 1F6BD | | furniture
heart | 2764:red | | shape
star | 2B50:yellow | | shape
ghost | 1F47B | | thing
dice | 1F3B2 | die | toy
pumpkin | 1F383 | jack-o'-lantern | food
nest | 1FABA | bird's nest | thing
axe | 1FA93 | hatchet | tool
saw | 1FA9A | | tool
skateboard | 1F6F9 | | toy
parachute | 1FA82:green | | thing
yo-yo | 1FA80:purple | | toy
fan | 1FAAD:red | | thing
"""

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
}


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
    """

    name: str
    word: str
    art: tuple[str, ...]
    family: dict[str, str]
    synonyms: tuple[str, ...]
    kind: str
    home: tuple[str, ...]
    starter: bool

    @property
    def paintable(self) -> bool:
        """Whether any of its variants can be painted."""
        return bool(self.family)

    def variants(self, artist: str = "openmoji") -> list[int]:
        """The variants that an artist drew, as indices into `art`."""
        drawn = drawn_codes(artist)
        return [row for row, code in enumerate(self.art) if code.partition(">")[0] in drawn]

    def can_be_painted(self, variant: int, artist: str = "openmoji") -> bool:
        """Whether an artist's drawing of a variant can be painted: it needs a colour that
        dominates it."""
        code = self.art[variant]
        return code in self.family and (
            artist == "openmoji" or artwork(code, artist).hue is not None
        )


def _parse(line: str) -> Concept:
    """Read one line of `TABLE`."""
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
    )


CONCEPTS: dict[str, Concept] = {
    concept.name: concept for concept in map(_parse, TABLE.strip().splitlines())
}
WORDS: tuple[str, ...] = tuple(dict.fromkeys(concept.word for concept in CONCEPTS.values()))
STARTER: tuple[str, ...] = tuple(name for name, concept in CONCEPTS.items() if concept.starter)


def article(noun: str) -> str:
    """Put the indefinite article before a noun, if it takes one.

    Args:
        noun: a noun in the singular, possibly with adjectives before it.
    Returns:
        for example "a dog" for "dog", "an owl" for "owl", and "scissors" for "scissors".
    """
    if noun in PLURALS or noun in UNCOUNTED or noun.split()[-1] in UNCOUNTED:
        return noun
    return f"an {noun}" if noun[0] in "aeio" or noun.startswith(("um", "ug")) else f"a {noun}"


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
