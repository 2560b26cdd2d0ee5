"""Every figure that the notebooks and the command line show, each with a text for those who cannot
see it.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. A colour means
the same thing in every figure: see `INK` in `base.py`.
"""

from miniclip.course.plots.base import INK, Plot, numbers, subplots
from miniclip.course.plots.lines import bars, curves, plot_history, points, robustness
from miniclip.course.plots.matrices import confusion, heat, similarity
from miniclip.course.plots.pictures import artists, contact_sheet, guesses, matches, pairs, picture

__all__ = [
    "INK",
    "Plot",
    "artists",
    "bars",
    "confusion",
    "contact_sheet",
    "curves",
    "guesses",
    "heat",
    "matches",
    "numbers",
    "pairs",
    "picture",
    "plot_history",
    "points",
    "robustness",
    "similarity",
    "subplots",
]
