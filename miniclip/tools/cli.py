"""The command line: `python -m miniclip --help`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, question and look at a small CLIP.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make data sets ready, and look at them.")
app.add_typer(data_app, name="data")
console, aside = (
    Console(),
    Console(stderr=True),
)  # results, which scripts may read, and what is said beside them

Images = Annotated[
    Path | None, typer.Option("--images", help="A folder of pictures; needs --captions.")
]
Captions = Annotated[
    Path | None, typer.Option("--captions", help="A captions file in COCO's JSON format.")
]
Packed = Annotated[
    Path | None,
    typer.Option("--data", help="A packed data set (made by: python -m miniclip data pack)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]


def _source(images: Path | None, captions: Path | None, packed: Path | None, size: int):
    """The data set that the options name; None for Picturebook."""
    from miniclip import data

    if packed is not None:
        return data.load(packed)
    if (images is None) != (captions is None):
        raise ValueError(
            "--images and --captions go together: a folder of pictures, and the file with their captions"
        )
    if images is None:
        return None
    found = data.folder(images, captions, size=size)
    aside.print(str(found.report), markup=False, highlight=False)
    return found


def _world(nouns: str):
    from miniclip.data import World

    return World.starter() if nouns == "starter" else World(nouns=nouns)


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _scores_table(title: str, scores: dict) -> Table:
    rows = [
        (
            name,
            f"{s.accuracy:.1%}",
            "{:.1%} to {:.1%}".format(*s.interval),
            str(s.n),
            f"{s.chance:.1%}",
        )
        for name, s in scores.items()
    ]
    return _table(title, ("question", "right", "95 % interval", "pictures", "chance"), rows)


def _recall_table(recall) -> Table:
    both = (("image to text", recall.image_to_text), ("text to image", recall.text_to_image))
    rows = [(name, *(f"{value:.1%}" for value in values.values())) for name, values in both]
    return _table(
        f"Retrieval among {recall.pictures:,} pictures and {recall.texts:,} captions",
        ("", *(f"recall@{k}" for k in recall.image_to_text)),
        rows,
    )


def _scores_json(scores: dict) -> dict:
    return {
        name: {"accuracy": s.accuracy, "interval": s.interval, "n": s.n, "chance": s.chance}
        for name, s in scores.items()
    }


def _naming_figure(model, test, trained: str, path: Path, count: int = 12) -> None:
    """Save the first pictures of a Picturebook set with the model's three likeliest objects for
    each."""
    from miniclip.course import plots
    from miniclip.evaluation import benchmarks
    from miniclip.zeroshot import classify

    question = benchmarks.questions(test)["object"]
    word = dict(zip(question.names, question.labels))
    answers = [
        {
            word[name]: p
            for name, p in classify(model, image, question.names, "a picture of {}.").items()
        }
        for image in test.images[:count]
    ]
    title = f"Pictures it never saw, named after {trained}"
    plots.guesses(test.images[:count], answers, question.targets[:count], title=title).savefig(
        path, dpi=110
    )


def _retrieval_figure(model, test, path: Path, count: int = 9) -> None:
    """Save some test pictures with the three captions that the model finds for each among all of
    the set's."""
    from miniclip.course import plots
    from miniclip.retrieval import caption_features
    from miniclip.zeroshot import image_features

    texts, (vectors, owner) = (
        [caption for captions in test.captions for caption in captions],
        caption_features(model, test),
    )
    best = (image_features(model, test.images[:count]) @ vectors.T).topk(3).indices.tolist()
    found, own = (
        [[texts[j] for j in row] for row in best],
        [[int(owner[j]) == i for j in row] for i, row in enumerate(best)],
    )
    title = f"The three captions of {len(texts):,} that it finds nearest to each picture (green: the picture's own)"
    plots.matches(test.images[:count], found, own, title=title).savefig(path, dpi=110)


@app.command()
def train(
    preset: Annotated[
        str, typer.Option(help="Size of the model: nano, tiny, small or base.")
    ] = "nano",
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Train a model further instead of one from nothing: picturebook, photos, or a checkpoint file. Its size is then the size, whatever --preset says.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Minutes to train; 5 if no budget is given.")
    ] = None,
    seen: Annotated[
        int | None,
        typer.Option(
            min=1, help="Budget as a number of pictures seen, repeats counted, instead of minutes."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Checkpoint file; a figure is saved beside it.")] = Path(
        "my-clip.safetensors"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that --out holds.")
    ] = False,
    images: Images = None,
    captions: Captions = None,
    packed: Packed = None,
    shards: Annotated[
        str | None,
        typer.Option(
            help="WebDataset shards: a folder, or a pattern such as 'shards/{00000..00099}.tar'; the first shard is held out to test on."
        ),
    ] = None,
    val_captions: Annotated[
        Path | None,
        typer.Option(
            help="Captions of pictures (in the same folder) to test on; without it a tenth is held out."
        ),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=1, help="Picturebook: how many pictures to draw.")
    ] = 50_000,
    nouns: Annotated[
        str, typer.Option(help="Picturebook: the 'starter' nouns, or 'all'.")
    ] = "starter",
    mention: Annotated[
        float,
        typer.Option(
            help="Picturebook: how likely captions name each thing that is there, 0 to 1."
        ),
    ] = 0.8,
    batch_size: Annotated[int, typer.Option(min=2, help="Pictures in a step.")] = 64,
    texts: Annotated[int, typer.Option(min=1, help="Captions of each picture in a step.")] = 2,
    chunk: Annotated[
        int,
        typer.Option(
            min=0,
            help="For batches larger than the memory: how many pictures are worked on at a time; 0 for all.",
        ),
    ] = 0,
    optimizer: Annotated[str, typer.Option(help="muon, or adamw as in the paper.")] = "muon",
    lr: Annotated[
        float,
        typer.Option(help="Learning rate of AdamW at its highest (Muon's is three times as high)."),
    ] = 1e-3,
    loss: Annotated[str, typer.Option(help="info_nce or sigmoid.")] = "info_nce",
    seed: Annotated[int, typer.Option(help="Decides the start and the order of pictures.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; by default the fastest here.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, bf16 or fp16; by default fp32 on a CPU. bf16 doubles the speed of CPUs made for it."
        ),
    ] = None,
    compile_: Annotated[
        bool,
        typer.Option(
            "--compile", help="Let torch.compile make the model faster; for long trainings on GPUs."
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Train a CLIP, from nothing unless --from is given, on the embedded Picturebook or on your
    own captioned pictures, and test what it learned."""
    from miniclip.checkpoint import load as load_checkpoint
    from miniclip.checkpoint import read as read_checkpoint
    from miniclip.config import CLIPConfig
    from miniclip.data import CaptionStyle, Shards, folder, picturebook
    from miniclip.device import pick_device, pick_precision
    from miniclip.evaluation import benchmarks
    from miniclip.retrieval import evaluate_retrieval
    from miniclip.training import distributed
    from miniclip.training.clip import train as train_clip
    from miniclip.training.recipe import Recipe

    distributed.init_distributed()  # where torchrun started several
    # Whatever can be wrong is found before pictures are drawn or read, which takes a minute.
    device = str(pick_device(device))
    begin = load_checkpoint(start, device) if start else CLIPConfig.preset(preset)
    config = getattr(begin, "config", begin)
    pick_precision(pick_device(device), precision)
    if minutes is not None and seen is not None:
        raise ValueError("give --minutes or --seen, not both")
    if val_captions is not None and images is None:
        raise ValueError(
            "--val-captions names captions of the pictures in --images; give both, or let a tenth be held out"
        )
    minutes = 5.0 if minutes is None and seen is None else minutes
    recipe = Recipe(
        batch_size=batch_size,
        captions_per_image=texts,
        chunk_size=chunk,
        optimizer=optimizer,
        lr=lr,
        muon_lr=3 * lr,
        loss=loss,
        seed=seed,
    )
    if shards is not None and (images or captions or packed):
        raise ValueError("--shards, --data and --images are three kinds of data sets; choose one")
    photos = (
        Shards(shards, size=round(config.image_size * 1.15))
        if shards
        else _source(images, captions, packed, size=round(config.image_size * 1.15))
    )
    if photos is None:
        world = _world(nouns)
        data = picturebook(pictures, seed, config.image_size, world, CaptionStyle(mention=mention))
        test = benchmarks.single_objects(world, 1000, config.image_size)
        # A few hundred pictures of yet another seed show the way; the test set is looked at once,
        # at the end.
        score = benchmarks.scorer(
            benchmarks.single_objects(world, 300, config.image_size, benchmarks.CHOICE_SEED)
        )
    else:
        recipe = replace(recipe, crop=0.5, flip=True, jitter=0.3, weight_decay=0.2)
        if shards:
            if len(photos.paths) < 2:
                raise ValueError(
                    f"--shards needs at least two: the first is held out to test on; {shards} has {len(photos.paths)}"
                )
            data, test = photos[1:], photos.take(1000, photos.paths[:1])
        else:
            data, test = (
                (photos, folder(images, val_captions, size=config.image_size))
                if val_captions
                else photos.split(0.9, seed)
            )
        watched = test[:300]  # nothing is chosen by it

        def score(model) -> dict[str, float]:
            return {"recall@10": evaluate_retrieval(model, watched, ks=(10,)).text_to_image[10]}

    looks = (
        0.003,
        0.006,
        0.012,
        0.025,
        0.05,
        *(tenth / 10 for tenth in range(1, 11)),
    )  # most happens early
    model, history = train_clip(
        data,
        begin,
        minutes=minutes,
        seen=seen,
        recipe=recipe,
        eval_fn=score,
        eval_at=looks,
        out=out,
        resume=resume,
        device=device,
        precision=precision,
        compile=compile_,
    )
    if not distributed.is_main_process():
        return
    figure = out.with_suffix(".png")
    if photos is None:
        scores = benchmarks.ask(model, test)
        table, result = (
            _scores_table("Zero-shot, on pictures it never saw", scores),
            _scores_json(scores),
        )
        minutes = history.rows[-1]["minutes"] if history.rows else 0.0
        _naming_figure(
            model,
            test,
            f"{minutes:.1f} minutes of training "
            + (f"further than {Path(start).stem}" if start else "from nothing"),
            figure,
        )
    else:
        recall = evaluate_retrieval(model, test)
        table, result = _recall_table(recall), asdict(recall)
        _retrieval_figure(model, test, figure)
    if json_:
        print(
            json.dumps(
                {
                    "checkpoint": str(out),
                    "figure": str(figure),
                    "scores": result,
                    "history": history.rows,
                }
            )
        )
    else:
        console.print(table)
    if read_checkpoint(out)[1]["history"] != history.rows:
        raise OSError(f"the last state could not be written; {out} holds an earlier one")
    if json_:
        return
    console.print(
        f"The model is in {out}, a picture of what it says in {figure}.\nOpen the notebooks with:  python -m miniclip lab",
        markup=False,
        highlight=False,
    )


@app.command()
def evaluate(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="A checkpoint file that training wrote, or the name of a model that ships: picturebook, photos."
        ),
    ],
    images: Images = None,
    captions: Captions = None,
    packed: Packed = None,
    nouns: Annotated[
        str, typer.Option(help="Picturebook: test on the 'starter' nouns or on 'all'.")
    ] = "starter",
    pictures: Annotated[
        int, typer.Option(help="Picturebook: how many test pictures to draw.")
    ] = 1000,
    style: Annotated[str, typer.Option(help="Picturebook: full, sketch or cutout.")] = "full",
    seed: Annotated[
        int,
        typer.Option(help="Picturebook: of the test pictures; trainings use lower ones than this."),
    ] = 1_000_000,
    template: Annotated[
        str, typer.Option(help="The sentence around the class name.")
    ] = "a picture of {}.",
    json_: AsJson = False,
) -> None:
    """Test a trained model: naming on Picturebook pictures, retrieval on captioned photos."""
    from miniclip.checkpoint import load as load_checkpoint
    from miniclip.evaluation import benchmarks
    from miniclip.retrieval import evaluate_retrieval

    model = load_checkpoint(checkpoint)
    photos = _source(images, captions, packed, size=model.config.image_size)
    if photos is None:
        scores, recall = benchmarks.picturebook_scores(
            model, _world(nouns), pictures, template, seed, style
        )
        tables, result = (
            [
                _scores_table(f"Zero-shot with '{template}', on pictures it never saw", scores),
                _recall_table(recall),
            ],
            _scores_json(scores) | {"recall": asdict(recall)},
        )
    else:
        recall = evaluate_retrieval(model, photos)
        tables, result = [_recall_table(recall)], asdict(recall)
    print(json.dumps(result)) if json_ else console.print(*tables)


@app.command()
def shrink(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint file that training wrote.")],
    out: Annotated[Path, typer.Argument(help="The smaller file to write.")],
    before: Annotated[
        str | None,
        typer.Option(help="The model that was trained further (--from): its notes go along."),
    ] = None,
) -> None:
    """Write a model small: without what the optimizer remembers, weights in fp16. For handing it
    on."""
    from miniclip.checkpoint import SHIPPED
    from miniclip.checkpoint import read as read_checkpoint
    from miniclip.checkpoint import save as save_checkpoint

    model, notes, _ = read_checkpoint(checkpoint)
    if before:
        notes["before"] = read_checkpoint(SHIPPED.get(before, before))[1]
    save_checkpoint(model, out, {"shrunk from": notes}, half=True)
    console.print(
        f"{out} has {out.stat().st_size / 1e6:.1f} MB, {checkpoint} {checkpoint.stat().st_size / 1e6:.1f} MB",
        markup=False,
        highlight=False,
    )


@data_app.command()
def draw(
    out: Annotated[Path, typer.Argument(help="Folder to write the packed data set to.")],
    pictures: Annotated[int, typer.Option(help="How many.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed, other pictures.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels, 32 to 512.")] = 64,
    nouns: Annotated[str, typer.Option(help="'starter' or 'all'.")] = "all",
) -> None:
    """Draw a Picturebook set and keep it as a packed data set."""
    from miniclip.data import picturebook

    picturebook(pictures, seed, size, _world(nouns)).save(out)
    console.print(
        f"{pictures:,} pictures of {size} x {size} pixels are in {out}; look with: python -m miniclip data show --data {out}",
        markup=False,
    )


@data_app.command()
def pack(
    images: Annotated[Path, typer.Option(help="A folder of pictures.")],
    captions: Annotated[Path, typer.Option(help="A captions file in COCO's JSON format.")],
    out: Annotated[Path, typer.Option(help="Folder to write the packed data set to.")],
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
) -> None:
    """Resize a folder of captioned pictures once and pack it; stop it and start it again as you
    like."""
    from miniclip.data import pack as pack_folder

    packed = pack_folder(images, captions, out, size=size)
    console.print(f"{packed.report}\n{len(packed):,} pictures are in {out}", markup=False)


@data_app.command()
def coco(
    split: Annotated[
        str, typer.Option(help="train2017 (118,287 photos) or val2017 (5,000).")
    ] = "train2017",
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many photos; all, if it is left out. A smaller subset is part of a larger one.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write the packed data set to; by default one inside --cache."),
    ] = None,
    licenses: Annotated[
        str,
        typer.Option(
            help="Keep only photos under these licences, by COCO's numbers, such as 4,5,7,8."
        ),
    ] = "",
    keep_originals: Annotated[
        bool, typer.Option("--keep-originals", help="Keep the photos as they came, too.")
    ] = False,
    connections: Annotated[int, typer.Option(help="Photos fetched at a time, 1 to 32.")] = 8,
    cache: Annotated[
        Path, typer.Option(help="Folder for the captions file and for unfinished work.")
    ] = Path("datasets/coco"),
    server: Annotated[
        str, typer.Option(help="Address of COCO's server or of a mirror.")
    ] = "http://images.cocodataset.org",
) -> None:
    """Fetch COCO 2017 captions, or a part of them, and pack it; stop it and start it again as you
    like."""
    from miniclip.data import coco as fetch

    if bad := [number for number in licenses.split(",") if number and not number.strip().isdigit()]:
        raise ValueError(f"--licenses is a list of numbers such as 4,5, not {bad[0]!r}")
    chosen = [int(number) for number in licenses.split(",") if number]
    packed = fetch(
        split,
        images,
        size,
        out,
        licenses=chosen,
        keep_originals=keep_originals,
        connections=connections,
        cache=cache,
        server=server,
    )
    place = Path(packed.images.filename).parent
    console.print(
        f"{packed.report}\n{len(packed):,} pictures are in {place}, and whose they are in {place / 'attribution.csv'}\n"
        f"Train with: python -m miniclip train --preset tiny --data {place}",
        markup=False,
    )


@data_app.command()
def show(
    out: Annotated[Path, typer.Option(help="The figure to write.")] = Path("contact-sheet.png"),
    images: Images = None,
    captions: Captions = None,
    packed: Packed = None,
    seed: Annotated[int, typer.Option(help="Picturebook: which pictures.")] = 0,
    count: Annotated[int, typer.Option(help="How many pictures to show.")] = 12,
) -> None:
    """Save a contact sheet of a data set: pictures with their first caption."""
    from miniclip.course import plots
    from miniclip.data import picturebook

    data = _source(images, captions, packed, size=160)
    plots.contact_sheet(picturebook(count, seed, 160) if data is None else data, count).savefig(
        out, dpi=110
    )
    console.print(f"a contact sheet is in {out}", markup=False)


class Bench(str, Enum):
    """What can be measured."""

    training, inference, learning, data, answers = (
        "training",
        "inference",
        "learning",
        "data",
        "answers",
    )


@app.command()
def bench(
    only: Annotated[
        list[Bench] | None, typer.Option(help="Measure this alone; can be given several times.")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Training and inference: whose sizes to time, nano, tiny, small or base."
        ),
    ] = "nano",
    batch_size: Annotated[
        int, typer.Option(min=2, help="Training and inference: pictures in a step.")
    ] = 256,
    rounds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Training and inference: how often each model takes its turn; medians are told.",
        ),
    ] = 5,
    minutes: Annotated[float, typer.Option(min=0.05, help="Learning: how long.")] = 0.6,
    precision: Annotated[str, typer.Option(help="Learning: fp32 or bf16.")] = "fp32",
    memory: Annotated[
        bool, typer.Option(help="Training: measure peak memory too, a process for each model.")
    ] = True,
    json_: AsJson = False,
) -> None:
    """Measure speed on the CPU; training and inference beside open_clip and transformers where
    they are installed (pip install -e .[bench])."""
    from miniclip.tools import bench as measure

    result: dict[str, dict] = {}
    for what in only or list(Bench):
        if what in (Bench.training, Bench.inference):
            speeds = measure.speed(
                preset, batch_size, rounds, what.value, memory=memory and what is Bench.training
            )
            result[what.value] = {name: asdict(speed) for name, speed in speeds.items()}
            title = f"{what.value.capitalize()}, {preset}, {batch_size} pictures a step, medians of {rounds} rounds in turn"
            rows = [
                (
                    name,
                    f"{speed.images_per_second:,.0f}",
                    f"{speed.images_per_second / speeds['miniclip fp32'].images_per_second:.2f}",
                    f"{speed.gemm_share:.0%}" if speed.gemm_share else "",
                    f"{speed.memory:.0f} MB" if speed.memory else "",
                )
                for name, speed in speeds.items()
            ]
            table = _table(
                title,
                ("model", "images/s", "to miniclip fp32", "of the fp32 GEMM rate", "peak memory"),
                rows,
            )
        elif what is Bench.learning:
            result["learning"] = learned = measure.time_to_learn(minutes, precision=precision)
            rows = [
                (
                    f"{row['seen']:,}",
                    f"{row['minutes']:.2f}",
                    f"{row['object']:.0%}",
                    f"{row['color']:.0%}",
                    f"{row['place']:.0%}",
                )
                for row in learned["rows"]
            ]
            table = _table(
                f"Learning, nano, {precision}; batches took {learned['data_share']:.1%} of a step",
                ("pictures seen", "minutes", "object", "color", "place"),
                rows,
            )
        elif what is Bench.data:
            result["data"] = rates = measure.data_speed()
            names = {
                "drawn": "Picturebook pictures drawn, 64 px",
                "packed": "photos of 640 x 480 packed at 128 px",
                "torchvision": "the same by torchvision",
            }
            table = _table(
                "Data, on one core",
                ("what", "a second"),
                [(names[name], f"{rate:,.0f}") for name, rate in rates.items()],
            )
        else:
            result["answers"] = times = measure.answer_time()
            names = {"cached": "text vectors at hand", "uncached": "texts embedded too"}
            table = _table(
                "Answers: tiny, one picture, 20 prompts",
                ("what", "milliseconds"),
                [(names[name], f"{time:.1f}") for name, time in times.items()],
            )
        if not json_:
            console.print(table)
    if json_:
        print(json.dumps(result))


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="'figure 2', 'robustness', 'repair' or 'towers'.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Result file, written part by part; by default one in this folder. Parts that it holds are not measured again."
        ),
    ] = None,
    seen: Annotated[
        int | None,
        typer.Option(min=64, help="Pictures that each model sees; by default tens of thousands."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16.")] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder for the trained models; by default they are not kept."),
    ] = None,
) -> None:
    """Run one of the long comparisons of trainings: the three objectives of the paper's Figure 2,
    robustness under shift, captions that count, or two image towers."""
    from miniclip.evaluation import studies

    if name not in studies.STUDIES:
        raise ValueError(f"there is no study {name!r}; there are {', '.join(studies.STUDIES)}")
    out = out or Path(f"{name.replace(' ', '-')}.json")
    studies.STUDIES[name](
        studies.Log(out, models), **({"seen": seen} if seen else {}), precision=precision
    )
    console.print(f"The result is in {out}", markup=False, highlight=False)


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(help="Submissions: notebooks, or a folder of them for each student.")
    ],
    out: Annotated[Path, typer.Option(help="CSV to write: a row for each submission.")] = Path(
        "grades.csv"
    ),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one submission.")] = 600.0,
    solutions: Annotated[
        Path | None,
        typer.Option(help="Folder of the solutions; by default the homework of this project."),
    ] = None,
) -> None:
    """Grade a folder of homework, a process for each submission: it runs what students wrote, so
    do it where nothing can be lost."""
    from miniclip.course.grading import grade as grade_all

    grades = grade_all(folder, out, timeout, solutions)
    console.print(
        f"{len(grades)} submissions; their points are in {out}", markup=False, highlight=False
    )


@app.command()
def doctor(json_: AsJson = False) -> None:
    """Look at this machine before a class: versions, device, a measured speed, what will be slow
    and what to do."""
    from miniclip.tools.doctor import doctor as look

    found = look(show=not json_)
    if json_:
        print(json.dumps(found))


@app.command()
def lab() -> None:
    """Open the notebooks in JupyterLab."""
    notebooks = Path(__file__).parents[2] / "notebooks"
    raise typer.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(notebooks)]))


def main() -> None:
    """Run the command line; what is wrong with the input is told in a sentence, without a
    traceback."""
    try:
        app(standalone_mode=True)
    except (ValueError, OSError, FloatingPointError) as error:
        aside.print("[bold red]Sorry:[/]", end=" ")
        aside.print(str(error), markup=False, highlight=False)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
