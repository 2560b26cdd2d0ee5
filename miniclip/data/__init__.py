"""Data sets of captioned pictures: drawn (`picturebook`), from a folder in COCO's layout (`folder`), or packed (`load`)."""

from .captioned import CaptionedImages, load
from .coco import folder, pack
from .picturebook import CaptionStyle, Scene, Thing, World, picturebook

__all__ = ["CaptionedImages", "CaptionStyle", "Scene", "Thing", "World", "folder", "load", "pack", "picturebook"]
