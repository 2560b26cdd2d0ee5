"""Words that no picture tells, as captions of the web are full of: file names, dates, names of
people and cities, the talk of shops.

`CaptionStyle(chatter=k)` puts k of them into each caption. Notebook 06 shows what they do to models
that have to predict captions.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from random import Random

SHOP = (
    "sale free shipping new price voucher shop order best size vintage handmade brand stock offer"
    " deal discount seller buy cheap premium original collection edition pack series item lot"
    " custom official review quality online store wholesale clearance authentic limited exclusive"
).split()
PEOPLE = (
    "anna ben carla david emma felix gina hugo ida jan karla leo mia noah olga paul rita sam tina"
    " ulla vera will xenia yara zoe amir bella chen dina elif fatima george hana ivan julia kofi"
    " lena marco nina omar priya quinn ravi sofia tom uma victor wang yusuf"
).split()
CITIES = (
    "paris london rome berlin tokyo madrid vienna oslo delhi cairo lima boston chicago dublin"
    " athens prague lisbon seoul nairobi toronto sydney havana milan geneva kyoto dallas bergen"
    " lagos"
).split()
DATES = (
    "january february march april may june july august september october november december monday"
    " tuesday wednesday thursday friday saturday sunday"
).split() + [str(year) for year in range(1995, 2025)]
CAMERA = "img dsc jpg png nikon canon iso flickr upload copy final scan page album".split()
FILES = [f"{kind}{number:04}" for kind in ("img", "dsc", "p") for number in range(17, 9000, 53)]


@cache
def vocabulary() -> tuple[tuple[str, ...], tuple[float, ...]]:
    """All these words in a fixed order, and how often each is said up to and including it: the
    frequency falls as 1 / rank (Zipf's law), so a few are common and most are rare."""
    words = [*SHOP, *PEOPLE, *CITIES, *DATES, *CAMERA]
    Random(0).shuffle(words)
    words += FILES  # the rarest
    return tuple(words), tuple(accumulate(1 / rank for rank in range(1, len(words) + 1)))


def chatter(count: int, rng: Random) -> list[str]:
    """Draw words that say nothing about any picture.

    Args:
        count: how many.
        rng: the random numbers.
    """
    words, cumulative = vocabulary()
    return rng.choices(words, cum_weights=cumulative, k=count)
