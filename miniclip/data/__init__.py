"""Data sets of images with several captions each, the pairs that CLIP learns from (paper 2.2).

They are drawn (`picturebook`), read from a folder of photos in COCO's layout (`folder`), fetched
from COCO's server (`coco`), opened from disk where they were packed (`load`), or streamed from tar
files (`Shards`). A few photographs come with the package (`album`), and what people wrote about
many more (`coco_captions`). Pictures with class labels are for tests (`labelled`).
"""

from miniclip.data.captioned import CaptionedImages, load
from miniclip.data.class_labels import labelled
from miniclip.data.coco2017 import coco
from miniclip.data.folders import folder, pack
from miniclip.data.photographs import album, coco_captions, named_album
from miniclip.data.shards import Shards
from miniclip.data.world import CaptionStyle, Scene, Thing, World, picturebook

__all__ = [
    "CaptionedImages",
    "CaptionStyle",
    "Scene",
    "Shards",
    "Thing",
    "World",
    "album",
    "coco",
    "coco_captions",
    "folder",
    "labelled",
    "load",
    "named_album",
    "pack",
    "picturebook",
]
