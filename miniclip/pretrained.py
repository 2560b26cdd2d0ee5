"""Load released CLIPs: OpenAI's, and any other of the same architecture (paper 2.4).

    model = miniclip.load("openai")  # or any name in released.py; fetched once from the hub
    model = miniclip.load("openai/clip-vit-base-patch32")  # or any repository of the hub

A folder or a file will do, too. The weights run in our own classes; only their names have to be
translated from those of OpenAI's code, open_clip or transformers, and the translation is a table.
Every tensor of the file has to be used, and every weight of the model has to be there. What cannot
be seen in weights is read by `hub_config.py` from the configuration files beside them. Used in
notebook 09.

safetensors files cannot run code. If a repository has none, PyTorch reads the tensors of its
pytorch_model.bin, and nothing else in it (`weights_only`).
"""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as BPE
from torch import Tensor

from miniclip import hub_config
from miniclip.config import CLIPConfig
from miniclip.model import CLIP
from miniclip.tokenizer import OPENAI_MARKS, Tokenizer

# Names that a file of weights may have; the first that exists is read. open_clip's comes before
# the other, since timm's repositories have the image tower alone under the second name.
FILES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
# Names that a file with the vocabulary may have, likewise.
VOCABULARIES = ("tokenizer.json", "merges.txt", "bpe_simple_vocab_16e6.txt.gz")

# The translation table. Each row has three names of the same layer or weight: the name in OpenAI's
# code and open_clip, the name in transformers, and ours. First come the layers within a block. The
# rows with None have no name in OpenAI's code, which has queries, keys and values in one matrix;
# `translate` cuts it in three.
BLOCK = (
    ("ln_1", "layer_norm1", "ln_1"),
    ("ln_2", "layer_norm2", "ln_2"),
    ("attn.out_proj", "self_attn.out_proj", "attention.out"),
    ("mlp.c_fc", "mlp.fc1", "mlp.0"),
    ("mlp.c_proj", "mlp.fc2", "mlp.2"),
    (None, "self_attn.q_proj", "attention.query"),
    (None, "self_attn.k_proj", "attention.key"),
    (None, "self_attn.v_proj", "attention.value"),
)
# Layers and weights outside the blocks. ("pre_layrnorm" is how transformers spells it.)
SINGLE = (
    ("visual.class_embedding", "vision_model.embeddings.class_embedding", "visual.class_embedding"),
    (
        "visual.positional_embedding",
        "vision_model.embeddings.position_embedding.weight",
        "visual.positional_embedding",
    ),
    (
        "visual.conv1.weight",
        "vision_model.embeddings.patch_embedding.weight",
        "visual.patch_embedding.weight",
    ),
    ("visual.ln_pre", "vision_model.pre_layrnorm", "visual.ln_pre"),
    ("visual.ln_post", "vision_model.post_layernorm", "visual.ln_post"),
    ("visual.proj", "visual_projection.weight", "visual.projection"),
    (
        "token_embedding.weight",
        "text_model.embeddings.token_embedding.weight",
        "text.token_embedding.weight",
    ),
    (
        "positional_embedding",
        "text_model.embeddings.position_embedding.weight",
        "text.positional_embedding",
    ),
    ("ln_final", "text_model.final_layer_norm", "text.ln_final"),
    ("text_projection", "text_projection.weight", "text.projection"),
    ("logit_scale", "logit_scale", "logit_scale"),
)
# Where the blocks of the two towers are; the number of the block follows.
TOWERS = (
    ("visual.transformer.resblocks", "vision_model.encoder.layers", "visual.blocks"),
    ("transformer.resblocks", "text_model.encoder.layers", "text.blocks"),
)
# Tensors that are not weights; they are ignored.
IGNORED = re.compile(r"(^|\.)(position_ids|attn_mask|input_resolution|context_length|vocab_size)$")
# The paper's code multiplies by these matrices, x @ W. In transformers they are linear layers,
# which compute x @ W.T.
TRANSPOSED = ("visual_projection.weight", "text_projection.weight")
# The number of heads cannot be seen in the weights. In all of OpenAI's models a head is this wide.
HEAD_WIDTH = 64
# What is taken from OpenAI's models if no configuration file says it.
GUESSES = {
    "activation": "quick_gelu as the activation",
    "vision_heads": f"heads of {HEAD_WIDTH} channels",
    "mean": "its normalisation of pixels",
}
# Fields of a configuration that leave no trace in the weights.
INVISIBLE = {"activation", "end_token", "mean", "resize", "std", "text_heads", "vision_heads"}


def _translation_table(library: int) -> dict[str, str]:
    """Their name of each layer or weight to our name; {} stands for the number of a block.

    `library` is the column of their names in the tables above: 0 for OpenAI's code and open_clip,
    1 for transformers.
    """
    table = {row[library]: row[2] for row in SINGLE}
    for tower in TOWERS:
        for row in BLOCK:
            if row[library]:
                table[f"{tower[library]}.{{}}.{row[library]}"] = f"{tower[2]}.{{}}.{row[2]}"
    return table


def _library(state: Mapping[str, Tensor]) -> int:
    """Whose names these are: 0 for OpenAI's code and open_clip, 1 for transformers."""
    return 1 if any(name.startswith("vision_model.") for name in state) else 0


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights from another library's names to ours.

    Args:
        state: all tensors by the names of OpenAI's code, open_clip or transformers.
    Returns:
        The tensors by the names that they have in our `CLIP`.
    Raises:
        ValueError: for a name that is not in the tables above.
    """
    library = _library(state)
    table = _translation_table(library)
    # A vision transformer has a projection, `visual.proj`; OpenAI's ResNet has none.
    is_resnet = "visual.conv1.weight" in state and "visual.proj" not in state
    weights: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if IGNORED.search(name):
            continue
        number = (re.search(r"\.(\d+)\.", name) or ["", ""])[1]  # of the block; "" outside blocks
        pattern = re.sub(r"(resblocks|layers)\.\d+\.", r"\1.{}.", name)
        layer, _, kind = pattern.rpartition(".")
        if pattern.endswith(("attn.in_proj_weight", "attn.in_proj_bias")):
            # Queries, keys and values are stacked in one tensor (3 D, D) or (3 D,).
            tower = next(ours for theirs, _, ours in TOWERS if pattern.startswith(f"{theirs}."))
            suffix = pattern.rpartition("_")[2]  # "weight" or "bias"
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3)):
                weights[f"{tower}.{number}.attention.{part}.{suffix}"] = piece
        elif is_resnet and re.match(r"visual\.(conv\d|bn\d|layer\d|attnpool)\b", name):
            weights[name] = tensor  # our ResNet has the names of the paper's code
        elif pattern in table:
            transposed = library == 1 and pattern in TRANSPOSED
            weights[table[pattern].replace("{}", number)] = tensor.T if transposed else tensor
        elif layer in table and kind in ("weight", "bias"):
            weights[f"{table[layer].replace('{}', number)}.{kind}"] = tensor
        else:
            raise ValueError(
                f"{name} is no weight of a CLIP by OpenAI's, open_clip's or transformers' names"
            )
    return weights


def configuration(
    weights: dict[str, Tensor],
    activation: str = "quick_gelu",
    said: Mapping[str, Any] | None = None,
) -> CLIPConfig:
    """Read the sizes of a model off the shapes of its weights, as the paper's code does, and the
    rest off its configuration files.

    Args:
        weights: all tensors by our names, as `translate` gives them.
        activation: "quick_gelu" or "gelu", if `said` has none.
        said: fields of `CLIPConfig`, as `hub_config.read` finds them in files.
    Raises:
        ValueError: if weights are missing or do not fit together, or if a file says other sizes
            than the weights have.
    """
    said = said or {}
    try:
        sizes = _sizes(weights)
        if not said:
            return CLIPConfig(**sizes, activation=activation)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"these are not all weights of a CLIP: {error} is missing or of no use"
        ) from error
    for name in sorted(said.keys() - INVISIBLE):
        if said[name] != sizes.get(name, ()):
            raise ValueError(
                f"the configuration file says {name} = {said[name]!r}, but the weights have "
                f"{sizes.get(name, ())!r}; one of the two files belongs to another model, so fetch "
                "both from the same place"
            )
    return CLIPConfig(**{"activation": activation} | sizes | said)


def _sizes(weights: dict[str, Tensor]) -> dict[str, Any]:
    """The fields of `CLIPConfig` that weights by our names tell, or for which all have a value."""
    if "visual.attnpool.positional_embedding" in weights:
        image_tower = _resnet_sizes(weights)
    else:
        image_tower = _vision_transformer_sizes(weights)
    vocab_size, text_width = weights["text.token_embedding.weight"].shape
    return {
        **image_tower,
        "text_width": text_width,
        "text_layers": _count_blocks(weights, "text"),
        "text_heads": max(1, text_width // HEAD_WIDTH),
        "embed_dim": weights["text.projection"].shape[1],
        "vocab_size": vocab_size,
        "context_length": len(weights["text.positional_embedding"]),
        "stem": False,
        "pool": "cls",
        "end_token": vocab_size - 1,  # the last piece of OpenAI's vocabulary
    }


def _vision_transformer_sizes(weights: dict[str, Tensor]) -> dict:
    """The fields of `CLIPConfig` for an image tower that is a vision transformer."""
    patch_embedding = weights["visual.patch_embedding.weight"]  # (D, 3, patch_size, patch_size)
    width, patch_size = patch_embedding.shape[0], patch_embedding.shape[-1]
    # One position for each patch and one for the class token.
    side = round((len(weights["visual.positional_embedding"]) - 1) ** 0.5)
    return {
        "image_size": side * patch_size,
        "patch_size": patch_size,
        "vision_width": width,
        "vision_layers": _count_blocks(weights, "visual"),
        "vision_heads": max(1, width // HEAD_WIDTH),
        "pre_norm": True,
    }


def _resnet_sizes(weights: dict[str, Tensor]) -> dict:
    """The fields of `CLIPConfig` for an image tower that is a ResNet."""
    width = len(weights["visual.conv3.weight"])
    # One position for each place of the last feature map and one for their mean.
    side = round((len(weights["visual.attnpool.positional_embedding"]) - 1) ** 0.5)
    blocks = tuple(
        len({name.split(".")[2] for name in weights if name.startswith(f"visual.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    return {
        "image_size": 32 * side,
        "patch_size": 32,  # a place stands for 32 x 32 pixels
        "vision_width": width,
        "vision_layers": sum(blocks),
        "vision_heads": width * 32 // HEAD_WIDTH,
        "resnet": blocks,
    }


def _count_blocks(weights: dict[str, Tensor], tower: str) -> int:
    """The number of blocks in a tower, "visual" or "text"."""
    prefix = f"{tower}.blocks."
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith(prefix))


def from_state(
    state: dict[str, Tensor],
    tokenizer: Tokenizer | None = None,
    activation: str = "quick_gelu",
    said: Mapping[str, Any] | None = None,
) -> CLIP:
    """Make a `CLIP` from another library's weights.

    Args:
        state: all tensors by the names of OpenAI's code, open_clip or transformers.
        tokenizer: as `openai_tokenizer` makes it; None for a model that is only given token ids.
        activation: "quick_gelu" for OpenAI's weights, "gelu" for most of open_clip's own; only
            used if `said` has none.
        said: fields of `CLIPConfig` that a configuration file says, see `hub_config.read`.
    Returns:
        The model on the CPU, in evaluation mode.
    Raises:
        ValueError: if tensors are missing, are left over, or have shapes that do not fit together
            or do not fit what is said; the message names them.
    """
    weights = {name: tensor.float() for name, tensor in translate(state).items()}
    model = CLIP(configuration(weights, activation, said), tokenizer)
    weights["logit_bias"] = torch.tensor(0.0)  # only our sigmoid loss uses it
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights do not make a whole CLIP: {' '.join(str(error).split())[:400]}"
        ) from error
    return model.eval()


def openai_tokenizer(source: str | Path) -> Tokenizer:
    """Build OpenAI's byte-pair encoding from its vocabulary (paper 2.4).

    Args:
        source: the file with the vocabulary: tokenizer.json or merges.txt from the Hugging Face
            hub, or bpe_simple_vocab_16e6.txt.gz from the paper's code.
    Raises:
        ValueError: if a tokenizer.json holds an encoding of another kind.
    """
    path = Path(source)
    ids, pairs = _read_json(path) if path.suffix == ".json" else _read_merges(path)
    bpe = BPE(models.BPE(ids, pairs, end_of_word_suffix="</w>", unk_token=OPENAI_MARKS[2]))
    # What counts as a word: English contractions, runs of letters, single digits, other signs.
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.Sequence([decoders.Replace("</w>", " "), decoders.ByteLevel()])
    bpe.add_special_tokens([AddedToken(mark, normalized=False) for mark in OPENAI_MARKS[1:]])
    return Tokenizer(bpe)


def _read_merges(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The id of each piece, and the pairs of pieces to merge, from a list of merges."""
    if path.suffix == ".gz":
        text = gzip.decompress(path.read_bytes()).decode()
    else:
        text = path.read_text(encoding="utf-8")
    # The first line is a header. The paper's code uses 49152 - 256 - 2 merges and no more.
    pairs = [tuple(line.split()) for line in text.split("\n")[1 : 49152 - 256 - 2 + 1]]
    # Byte-level encodings write each of the 256 bytes as one visible letter: printable ones stand
    # for themselves, and the others get letters from 256 on.
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    alphabet = [*map(chr, printable), *map(chr, range(256, 512 - len(printable)))]
    # In the order of their ids. "</w>" marks a piece at the end of a word.
    pieces = [
        *alphabet,
        *(letter + "</w>" for letter in alphabet),
        *("".join(pair) for pair in pairs),
        *OPENAI_MARKS[1:],
    ]
    return {piece: id_ for id_, piece in enumerate(pieces)}, pairs


def _read_json(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The same from a tokenizer.json, as the `tokenizers` library writes it."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        model, added = whole["model"], whole.get("added_tokens", [])
        ids = dict(model["vocab"]) | {token["content"]: token["id"] for token in added}
        # Older files have a pair as one string with a space, newer ones as a list.
        pairs = [tuple(m.split(" ") if isinstance(m, str) else m) for m in model["merges"]]
        usable = model.get("end_of_word_suffix") == "</w>" and set(OPENAI_MARKS) <= ids.keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise ValueError(
            f"{path} does not hold OpenAI's byte-pair encoding, with </w> at the end of words and "
            f"the marks {', '.join(OPENAI_MARKS)}; a CLIP with another tokenizer cannot be loaded"
        )
    return ids, pairs


def load(name: str | Path) -> CLIP:
    """Load OpenAI's weights, or others of the same architecture.

    Args:
        name: one of three things: a repository of the Hugging Face hub
            ("openai/clip-vit-base-patch32"), which is fetched once and kept in the hub's cache; a
            folder with one of `FILES`, one of `VOCABULARIES` and the configuration files of
            open_clip or transformers; or one of `FILES`, with the others beside it if there are
            any. What no configuration file says is taken from OpenAI's models, with a warning.
    Returns:
        The model on the CPU, in evaluation mode; without a vocabulary it has no tokenizer.
    Raises:
        FileNotFoundError: if it is not here and cannot be fetched; the message says what to do.
        ValueError: if the file holds something else.
    """
    path = Path(name)
    if not path.exists():
        path = _fetch(str(name))
    folder = path if path.is_dir() else path.parent
    hub_config.refuse_other_models(folder)
    file = path if path.is_file() else _first_file(folder, FILES)
    if file is None:
        raise FileNotFoundError(
            f"{folder} has none of {', '.join(FILES)}; copy or convert the weights to one of them"
        )
    state = _read(file)
    vocabulary = _first_file(folder, VOCABULARIES)
    said = hub_config.read(folder, _library(state))
    model = from_state(state, openai_tokenizer(vocabulary) if vocabulary else None, said=said)
    if guesses := [what for field, what in GUESSES.items() if field not in said]:
        warnings.warn(
            f"no configuration file beside {file} says otherwise, so it is taken for a model like "
            f"OpenAI's, with {', '.join(guesses)}; if it is another, put "
            f"{hub_config.OPEN_CLIP}, or {hub_config.TRANSFORMERS} and {hub_config.PREPROCESSOR}, "
            "of its repository beside it",
            stacklevel=3,
        )
    return model


def _first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that exists in a folder, or None."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; code in the file never runs."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                return {key: opened.get_tensor(key) for key in opened.keys()}
        if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 10):
            raise ValueError(  # CVE-2025-32434 and CVE-2026-24747 let such a file run code
                f"{file} is a pickle, which PyTorch before 2.10 does not read safely, and this is "
                f"{torch.__version__}; upgrade it, or convert the file to safetensors"
            )
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{file} holds more than tensors, and code from a file is never run here; convert it "
            "to safetensors with the library that it comes from"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{file} is not a whole file of weights ({error}); it may be cut off or of another "
            "format"
        ) from error


def _fetch(name: str) -> Path:
    """The folder of a repository of the Hugging Face hub, fetched if it is not in the cache."""
    folder = _download(name, [*hub_config.CONFIG_FILES, *VOCABULARIES[:2]])
    hub_config.refuse_other_models(folder)  # before hundreds of megabytes are fetched
    for file in FILES:  # one of them is enough, and a pickle is fetched if there is no other
        if _first_file(folder, FILES):
            return folder
        folder = _download(name, [file])
    if _first_file(folder, FILES) is None:
        raise FileNotFoundError(
            f"{name} has none of {', '.join(FILES)}, or fetching them was interrupted; try again "
            "with the internet, or choose another: python -m miniclip models"
        )
    return folder


def _download(name: str, files: list[str]) -> Path:
    """Fetch those of the files that a repository has; the folder that they are in."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:
        # The hub has many errors: no network, offline mode, no such repository, and more.
        raise FileNotFoundError(
            f"{name} is neither a file here nor could it be fetched from the Hugging Face hub "
            f"({type(error).__name__}). With the internet, try again; without, copy one of "
            f"{', '.join(FILES)}, one of {', '.join(VOCABULARIES[:2])} and the files *config.json "
            f"of https://huggingface.co/{name} into a folder and load that"
        ) from error
