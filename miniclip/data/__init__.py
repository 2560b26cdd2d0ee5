"""Data sets of captioned pictures: drawn (`picturebook`), from a folder in COCO's layout (`folder`), packed (`load`), or streamed (`Shards`)."""

from .captioned import CaptionedImages, load
from .coco import coco
from .folders import folder, pack
from .picturebook import CaptionStyle, Scene, Thing, World, picturebook
from .shards import Shards

__all__ = ["CaptionedImages", "CaptionStyle", "Scene", "Shards", "Thing", "World", "coco", "folder", "load", "pack", "picturebook"]
