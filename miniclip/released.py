"""The table of models that `miniclip.load` knows by a short name.

Two ship with the package. The others are plain CLIPs (paper 2.4) that others have released on the
Hugging Face hub; they are fetched once, when they are asked for. `python -m miniclip models`
prints the table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Released:
    """What is known about a model before it is loaded.

    Args:
        source: its repository on the Hugging Face hub, owner/name; empty if it ships.
        megabytes: size of the file of weights that is fetched (10^6 bytes); None if it ships.
        imagenet: zero-shot accuracy on ImageNet in percent; None if nobody published it.
        data: what it learned from.
        licence: the licence of the weights, as their repository says it, or the terms of the data.
    """

    source: str
    megabytes: int | None
    imagenet: float | None
    data: str
    licence: str


SHIPPED_MODELS = {
    "picturebook": Released("", None, None, "850,000 drawn scenes", "CC BY-SA 4.0"),
    "photos": Released("", None, None, "6,846 photos of Flickr8k and COCO", "non-commercial"),
}
# ImageNet: for TinyCLIP by its card, for the others by docs/openclip_results.csv of open_clip.
# Sizes and licences: by the repositories' pages; all files of a ViT-B/32 in fp32 have 605 MB. All
# but the two TinyCLIPs are a ViT-B/32, so they differ only in what they learned from, and in the
# activation of "openai". The last six seem to have no safetensors file; PyTorch 2.10 or newer reads
# the other one.
HUB_MODELS = {
    "tinyclip": Released(
        "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", 94, 41.1, "YFCC15M, from a larger CLIP", "MIT"
    ),
    "tinyclip-39m": Released(
        "wkcn/TinyCLIP-ViT-39M-16-Text-19M-YFCC15M",
        332,
        63.5,
        "YFCC15M, from a larger CLIP",
        "MIT",
    ),
    "openai": Released(
        "timm/vit_base_patch32_clip_224.openai",
        605,
        63.3,
        "400 million pairs, not published",
        "Apache-2.0",
    ),
    "laion2b": Released(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605, 66.6, "LAION-2B, English", "MIT"
    ),
    "datacomp": Released(
        "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605, 69.2, "DataComp-1B", "MIT"
    ),
    "datacomp-m": Released(
        "laion/CLIP-ViT-B-32-DataComp.M-s128M-b4K",
        605,
        29.7,
        "14 million chosen of CommonPool-M",
        "MIT",
    ),
    "commonpool-m-clip": Released(
        "laion/CLIP-ViT-B-32-CommonPool.M.clip-s128M-b4K",
        605,
        27.3,
        "CommonPool-M, chosen by a CLIP",
        "MIT",
    ),
    "commonpool-m-text": Released(
        "laion/CLIP-ViT-B-32-CommonPool.M.text-s128M-b4K",
        605,
        25.5,
        "CommonPool-M, chosen by text",
        "MIT",
    ),
    "commonpool-m": Released(
        "laion/CLIP-ViT-B-32-CommonPool.M-s128M-b4K",
        605,
        17.6,
        "all of CommonPool-M (128 million)",
        "MIT",
    ),
    "datacomp-s": Released(
        "laion/CLIP-ViT-B-32-DataComp.S-s13M-b4K",
        605,
        3.9,
        "1.4 million chosen of CommonPool-S",
        "MIT",
    ),
    "commonpool-s": Released(
        "laion/CLIP-ViT-B-32-CommonPool.S-s13M-b4K",
        605,
        2.7,
        "all of CommonPool-S (12.8 million)",
        "MIT",
    ),
}
