"""Every figure that the notebooks and the command line show, each with a text for those who cannot
see it.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. A colour means
the same thing in every figure: see `INK` in `base.py`.
"""

from miniclip.course.plots.base import INK, Plot, numbers, subplots
from miniclip.course.plots.comparisons import diagnosis, gaps, panels, ratios, robustness, stacked
from miniclip.course.plots.diagram import towers
from miniclip.course.plots.lines import Live, bars, curves, plot_history, points
from miniclip.course.plots.matrices import confusion, heads, heat, similarity
from miniclip.course.plots.pictures import artists, contact_sheet, guesses, matches, pairs, picture

__all__ = [
    "INK",
    "Live",
    "Plot",
    "artists",
    "bars",
    "confusion",
    "contact_sheet",
    "curves",
    "diagnosis",
    "gaps",
    "guesses",
    "heads",
    "heat",
    "matches",
    "numbers",
    "pairs",
    "panels",
    "picture",
    "plot_history",
    "points",
    "ratios",
    "robustness",
    "similarity",
    "stacked",
    "subplots",
    "towers",
]
