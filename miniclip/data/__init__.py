"""Data sets of captioned pictures: drawn (`picturebook`), from a folder in COCO's layout (`folder`), or packed (`load`)."""

from .captioned import CaptionedImages, load
from .coco import coco
from .folders import folder, pack
from .picturebook import CaptionStyle, Scene, Thing, World, picturebook

__all__ = ["CaptionedImages", "CaptionStyle", "Scene", "Thing", "World", "coco", "folder", "load", "pack", "picturebook"]
