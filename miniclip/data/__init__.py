"""Data sets of captioned pictures: drawn (`picturebook`), from a folder in COCO's layout (`folder`), packed (`load`), or streamed (`Shards`)."""

from miniclip.data.captioned import CaptionedImages, load
from miniclip.data.coco2017 import coco
from miniclip.data.folders import folder, pack
from miniclip.data.shards import Shards
from miniclip.data.world import CaptionStyle, Scene, Thing, World, picturebook

__all__ = [
    "CaptionedImages",
    "CaptionStyle",
    "Scene",
    "Shards",
    "Thing",
    "World",
    "coco",
    "folder",
    "load",
    "pack",
    "picturebook",
]
