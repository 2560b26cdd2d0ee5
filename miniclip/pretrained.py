"""OpenAI's released CLIPs in the same classes: the weights' names, of three libraries, translated
into ours (paper 2.4).

    model = miniclip.load("openai/clip-vit-base-patch32")    # from the Hugging Face hub, once; or
    a folder or a file

The translation is a table. Every tensor of the file has to be used, and every weight of the model
has to be there. Files of safetensors cannot run code; where a repository has none, PyTorch reads
the tensors of its pytorch_model.bin, and nothing else in it (`weights_only`).
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as BPE
from torch import Tensor

from miniclip.config import CLIPConfig
from miniclip.model import CLIP
from miniclip.tokenizer import OPENAI_MARKS, Tokenizer

FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)  # the first of them that is there is read

# What a weight is called by OpenAI and open_clip, by transformers, and here; {} is the number of
# a block. Several of theirs may be one of ours.
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
TOWERS = (
    ("visual.transformer.resblocks", "vision_model.encoder.layers", "visual.blocks"),
    ("transformer.resblocks", "text_model.encoder.layers", "text.blocks"),
)
IGNORED = re.compile(
    r"(^|\.)(position_ids|attn_mask|input_resolution|context_length|vocab_size)$"
)  # no weights
TRANSPOSED = (
    "visual_projection.weight",
    "text_projection.weight",
)  # transformers has a linear layer where the paper's code has a matrix


def translate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights by OpenAI's, open_clip's or transformers' names to weights by ours; ValueError for
    a name that no table has."""
    theirs = 1 if any(name.startswith("vision_model.") for name in state) else 0
    table = {row[theirs]: row[2] for row in SINGLE}
    for tower in TOWERS:
        for row in BLOCK:
            if row[theirs]:
                table[f"{tower[theirs]}.{{}}.{row[theirs]}"] = f"{tower[2]}.{{}}.{row[2]}"
    weights: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if IGNORED.search(name):
            continue
        number = (re.search(r"\.(\d+)\.", name) or ["", ""])[1]
        pattern = re.sub(r"(resblocks|layers)\.\d+\.", r"\1.{}.", name)
        stem, _, kind = pattern.rpartition(".")
        if pattern.endswith(
            ("attn.in_proj_weight", "attn.in_proj_bias")
        ):  # queries, keys and values in one
            tower = next(ours for one, _, ours in TOWERS if pattern.startswith(f"{one}."))
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3)):
                weights[f"{tower}.{number}.attention.{part}.{pattern.rpartition('_')[2]}"] = piece
        elif (
            re.match(r"visual\.(conv\d|bn\d|layer\d|attnpool)\b", name)
            and "visual.conv1.weight" in state
            and "visual.proj" not in state
        ):
            weights[name] = tensor  # a ResNet has the names of the paper's code
        elif pattern in table:
            weights[table[pattern].replace("{}", number)] = (
                tensor.T if theirs and pattern in TRANSPOSED else tensor
            )
        elif stem in table and kind in ("weight", "bias"):
            weights[f"{table[stem].replace('{}', number)}.{kind}"] = tensor
        else:
            raise ValueError(
                f"{name} is no weight of a CLIP by OpenAI's, open_clip's or transformers' names"
            )
    return weights


def configuration(weights: dict[str, Tensor], activation: str = "quick_gelu") -> CLIPConfig:
    """The sizes of a model from its weights, as the paper's code does; heads are 64 wide in all
    of OpenAI's."""
    try:
        if "visual.attnpool.positional_embedding" in weights:
            return _resnet(weights, activation)
        patches, text = (
            weights["visual.patch_embedding.weight"],
            weights["text.token_embedding.weight"],
        )
        side = round((len(weights["visual.positional_embedding"]) - 1) ** 0.5)
        width, patch = patches.shape[0], patches.shape[-1]
        layers = {
            tower: 1
            + max(
                int(name.split(".")[2]) for name in weights if name.startswith(f"{tower}.blocks.")
            )
            for tower in ("visual", "text")
        }
        return CLIPConfig(
            image_size=side * patch,
            patch_size=patch,
            vision_width=width,
            vision_layers=layers["visual"],
            vision_heads=max(1, width // 64),
            text_width=text.shape[1],
            text_layers=layers["text"],
            text_heads=max(1, text.shape[1] // 64),
            embed_dim=weights["text.projection"].shape[1],
            vocab_size=len(text),
            context_length=len(weights["text.positional_embedding"]),
            stem=False,
            pool="cls",
            activation=activation,
            pre_norm=True,
            end_token=len(text) - 1,
        )
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"these are not all weights of a CLIP: {error} is missing or of no use"
        ) from error


def _resnet(weights: dict[str, Tensor], activation: str) -> CLIPConfig:
    places, text, width = (
        weights["visual.attnpool.positional_embedding"],
        weights["text.token_embedding.weight"],
        len(weights["visual.conv3.weight"]),
    )
    blocks = tuple(
        len({name.split(".")[2] for name in weights if name.startswith(f"visual.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    return CLIPConfig(
        image_size=32 * round((len(places) - 1) ** 0.5),
        patch_size=32,
        vision_width=width,
        vision_layers=sum(blocks),
        vision_heads=width * 32 // 64,
        resnet=blocks,
        text_width=text.shape[1],
        text_layers=1
        + max(int(name.split(".")[2]) for name in weights if name.startswith("text.blocks.")),
        text_heads=max(1, text.shape[1] // 64),
        embed_dim=weights["text.projection"].shape[1],
        vocab_size=len(text),
        context_length=len(weights["text.positional_embedding"]),
        stem=False,
        pool="cls",
        activation=activation,
        end_token=len(text) - 1,
    )


def from_state(
    state: dict[str, Tensor], tokenizer: Tokenizer | None = None, activation: str = "quick_gelu"
) -> CLIP:
    """A `CLIP` with weights by OpenAI's, open_clip's or transformers' names.

    Args:
        state: all tensors, by name.
        tokenizer: as `openai_tokenizer` makes it.
        activation: "quick_gelu" as in OpenAI's, "gelu" for most of open_clip's own.
    Raises:
        ValueError: naming the tensors that are missing, or of no use, or of another shape than
            the others ask for.
    """
    weights = {name: tensor.float() for name, tensor in translate(state).items()}
    model = CLIP(configuration(weights, activation), tokenizer)
    weights["logit_bias"] = torch.tensor(0.0)  # of the sigmoid loss alone
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights do not make a whole CLIP: {' '.join(str(error).split())[:400]}"
        ) from error
    return model.eval()


def openai_tokenizer(merges: str | Path) -> Tokenizer:
    """OpenAI's byte-pair encoding from its list of merges: merges.txt of the Hugging Face hub, or
    bpe_simple_vocab_16e6.txt.gz of the paper's code."""
    path = Path(merges)
    text = (
        gzip.decompress(path.read_bytes()).decode()
        if path.suffix == ".gz"
        else path.read_text(encoding="utf-8")
    )
    pairs = [tuple(line.split()) for line in text.split("\n")[1 : 49152 - 256 - 2 + 1]]
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    alphabet = [
        *map(chr, printable),
        *map(chr, range(256, 512 - len(printable))),
    ]  # a letter for each byte, as byte-level encodings have it
    pieces = [
        *alphabet,
        *(letter + "</w>" for letter in alphabet),
        *("".join(pair) for pair in pairs),
        *OPENAI_MARKS[1:],
    ]
    bpe = BPE(
        models.BPE(
            {piece: number for number, piece in enumerate(pieces)},
            pairs,
            end_of_word_suffix="</w>",
            unk_token=OPENAI_MARKS[2],
        )
    )
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


def load(name: str | Path) -> CLIP:
    """Load OpenAI's weights, or others of the same architecture.

    Args:
        name: a repository of the Hugging Face hub ("openai/clip-vit-base-patch32"), fetched once
            and kept in its cache; a folder with
            one of `FILES`, and merges.txt; or such a file, merges.txt beside it if there is one.
    Raises:
        FileNotFoundError: with what to do, if it is not there and cannot be fetched.
        ValueError: if the file holds something else.
    """
    path = Path(name)
    if not path.exists():
        path = _fetch(str(name))
    folder = path if path.is_dir() else path.parent
    file = (
        path
        if path.is_file()
        else next((folder / one for one in FILES if (folder / one).is_file()), None)
    )
    if file is None:
        raise FileNotFoundError(
            f"{folder} has none of {', '.join(FILES)}; copy or convert the weights to one of them"
        )
    state = _read(file)
    merges = next(
        (
            folder / one
            for one in ("merges.txt", "bpe_simple_vocab_16e6.txt.gz")
            if (folder / one).is_file()
        ),
        None,
    )
    activation = "quick_gelu"
    if (folder / "config.json").is_file():
        activation = (
            json.loads((folder / "config.json").read_text(encoding="utf-8"))
            .get("vision_config", {})
            .get("hidden_act", activation)
        )
    return from_state(state, openai_tokenizer(merges) if merges else None, activation)


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; code in it never runs."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                return {key: opened.get_tensor(key) for key in opened.keys()}
        if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
            raise ValueError(
                f"{file} is a pickle, which PyTorch before 2.6 does not read safely, and this is {torch.__version__}; upgrade it, or convert the file to safetensors"
            )
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{file} holds more than tensors, and code from a file is never run here; convert it to safetensors with the library that it comes from"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{file} is not a whole file of weights ({error}); it may be cut off or of another format"
        ) from error


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(name, allow_patterns=[*FILES[:2], "merges.txt", "config.json"])
        )
        return (
            folder
            if any((folder / file).is_file() for file in FILES)
            else Path(snapshot_download(name, allow_patterns=list(FILES[2:])))
        )
    except (
        Exception
    ) as error:  # the hub's errors are many: no network, offline mode, no such repository
        raise FileNotFoundError(
            f"{name} is neither a file here nor could it be fetched from the Hugging Face hub ({type(error).__name__}). With the internet, try again; without, copy "
            f"model.safetensors (or pytorch_model.bin) and merges.txt of https://huggingface.co/{name} into a folder and load that"
        ) from error
