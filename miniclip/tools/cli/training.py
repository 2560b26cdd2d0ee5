"""The commands `train`, `evaluate` and `export`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from miniclip import checkpoint as checkpoints
from miniclip.config import CLIPConfig
from miniclip.data import (
    CaptionedImages,
    CaptionStyle,
    Shards,
    World,
    folder,
    labelled,
    picturebook,
)
from miniclip.data import load as load_packed
from miniclip.data.world import UNSEEN
from miniclip.device import cpu_has_bf16, pick_device, pick_precision
from miniclip.model import CLIP
from miniclip.retrieval import evaluate_retrieval
from miniclip.tools.cli import report
from miniclip.tools.cli.options import (
    Artists,
    AsJson,
    Captions,
    Images,
    Packed,
    console,
    load_data,
    make_recipe,
    recipe_options,
    world_of,
)
from miniclip.training import distributed
from miniclip.training.clip import train as train_clip
from miniclip.training.history import History
from miniclip.training.recipe import Recipe

# When the model is evaluated during training, as shares of the budget: most happens early.
EVAL_AT = (0.003, 0.006, 0.012, 0.025, 0.05, *(tenth / 10 for tenth in range(1, 11)))


@dataclass(frozen=True)
class Task:
    """What is trained on and tested on.

    Args:
        data: to train on.
        recipe: how, unless the user says otherwise.
        eval_fn: measures the model during training, on pictures that are not those of the test.
        finish: tests the trained model, saves a figure at a path and gives a table of the results
            and the same as plain values.
    """

    data: CaptionedImages | Shards
    recipe: Recipe
    eval_fn: Callable[[CLIP], dict[str, float]]
    finish: Callable[[CLIP, History, Path], tuple[object, dict]]


def drawn_task(
    size: int,
    pictures: int,
    tests: int,
    world: World,
    captions: CaptionStyle,
    seed: int,
    start: str | None,
) -> Task:
    """Train on drawn pictures, and test naming on others of the same world and on the same things
    by artists that it never saw, `tests` pictures each."""
    from miniclip.evaluation import benchmarks

    data = picturebook(pictures, seed, size, world, captions)
    test = benchmarks.single_objects(world, tests, size)
    unseen = benchmarks.single_objects(replace(world, artists=UNSEEN), tests, size)
    # The test pictures are looked at once, at the end; these are of another seed.
    watched = benchmarks.single_objects(world, min(tests, 300), size, benchmarks.CHOICE_SEED)

    def finish(model: CLIP, history: History, figure: Path) -> tuple[object, dict]:
        scores = benchmarks.ask(model, test)
        scores["object, unseen artists"] = benchmarks.ask(model, unseen)["object"]
        minutes = history.rows[-1]["minutes"] if history.rows else 0.0
        begun = f"further than {Path(start).stem}" if start else "from nothing"
        trained = f"{minutes:.1f} minutes of training {begun}"
        report.save_naming_figure(model, unseen, trained, figure)
        table = report.scores_table("Zero-shot, on pictures it never saw", scores)
        return table, report.scores_json(scores)

    return Task(data, Recipe(), benchmarks.scorer(watched), finish)


def photo_task(data: CaptionedImages | Shards, test: CaptionedImages) -> Task:
    """Train on captioned photographs and test retrieval on others."""
    watched = test[:300]  # nothing is chosen by it

    def eval_fn(model: CLIP) -> dict[str, float]:
        return {"recall@10": evaluate_retrieval(model, watched, ks=(10,)).text_to_image[10]}

    def finish(model: CLIP, history: History, figure: Path) -> tuple[object, dict]:
        recall = evaluate_retrieval(model, test)
        report.save_retrieval_figure(model, test, figure)
        return report.recall_table(recall), asdict(recall)

    return Task(data, Recipe.photos(), eval_fn, finish)


def photo_sets(
    size: int,
    images: Path | None,
    captions: Path | None,
    packed: Path | None,
    shards: str | None,
    val_captions: Path | None,
    val_packed: Path | None,
    seed: int,
) -> tuple[CaptionedImages | Shards, CaptionedImages] | None:
    """The photographs to train on and those to test on, or None if the options name none.

    Raises:
        ValueError: if the options contradict each other.
    """
    if val_captions is not None and images is None:
        raise ValueError(
            "--val-captions names captions of the pictures in --images; give both, or let a "
            "tenth be held out"
        )
    if val_packed is not None and not (images or packed):
        raise ValueError("--val-data is for tests of photographs; it needs --data or --images")
    if val_packed is not None and val_captions is not None:
        raise ValueError("--val-captions and --val-data are two ways to name a test; choose one")
    if shards is not None and (images or captions or packed):
        raise ValueError("--shards, --data and --images are three kinds of data sets; choose one")
    larger = round(size * 1.15)  # room for random crops
    if shards is not None:
        stream = Shards(shards, size=larger)
        if len(stream.paths) < 2:
            raise ValueError(
                "--shards needs at least two: the first is held out to test on; "
                f"{shards} has {len(stream.paths)}"
            )
        return stream[1:], stream.take(1000, stream.paths[:1])
    photos = load_data(images, captions, packed, larger)
    if photos is None:
        return None
    if val_captions is not None:
        return photos, folder(images, val_captions, size=size)
    if val_packed is not None:
        return photos, load_packed(val_packed)
    return photos.split(0.9, seed)


@recipe_options
def train(
    preset: Annotated[
        str, typer.Option(help="Size of the model: nano, tiny, small or base.")
    ] = "nano",
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Train a model further instead of one from nothing: picturebook, photos, or a "
            "checkpoint file. Its size is then the size, whatever --preset says.",
        ),
    ] = None,
    image_tower: Annotated[
        str | None,
        typer.Option(
            help="Start with the image tower of a trained model, and with a new text tower that "
            "reads your captions: picturebook, photos, or a checkpoint file.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Minutes to train; 5 if no budget is given, or half as many where bf16 is used.",
        ),
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
            help="WebDataset shards: a folder, or a pattern such as 'shards/{00000..00099}.tar'; "
            "the first shard is held out to test on."
        ),
    ] = None,
    val_captions: Annotated[
        Path | None,
        typer.Option(
            help="Captions of pictures (in the same folder) to test on; without it a tenth is "
            "held out."
        ),
    ] = None,
    val_data: Annotated[
        Path | None,
        typer.Option(help="A packed data set to test on; without it a tenth is held out."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=1, help="Picturebook: how many pictures to draw.")
    ] = 30_000,
    test_pictures: Annotated[
        int, typer.Option(min=20, help="Picturebook: how many pictures to draw for each test.")
    ] = 1000,
    nouns: Annotated[
        str, typer.Option(help="Picturebook: the 'starter' nouns, the 'common' ones, or 'all'.")
    ] = "starter",
    artists: Artists = "trained",
    mention: Annotated[
        float,
        typer.Option(help="Picturebook: how likely captions name each thing there is, 0 to 1."),
    ] = 0.8,
    manner: Annotated[
        float,
        typer.Option(
            help="Picturebook: how likely captions begin with the manner of drawing, such as 'a "
            "flat drawing of', 0 to 1."
        ),
    ] = 0.0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps; by default the fastest here.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, bf16 or fp16; by default what is fastest here: bf16 on a GPU and on a CPU "
            "that is made for it, else fp32."
        ),
    ] = None,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile", help="Let torch.compile make the model faster; for long runs on GPUs."
        ),
    ] = False,
    json_: AsJson = False,
    recipe: dict | None = None,
) -> None:
    """Train a CLIP, from nothing unless --from is given, on the embedded Picturebook or on your
    own captioned pictures, and test what it learned."""
    distributed.init_distributed()  # where torchrun started several processes
    # Whatever can be wrong is found before pictures are drawn or read, which takes a minute.
    device = str(pick_device(device))
    if start and image_tower:
        raise ValueError("--from keeps both towers, --image-tower only one; choose one of the two")
    trained = start or image_tower
    begin = checkpoints.load(trained, device) if trained else CLIPConfig.preset(preset)
    precision = precision or ("bf16" if device == "cpu" and cpu_has_bf16() else None)
    fast = pick_precision(pick_device(device), precision) != torch.float32
    if minutes is not None and seen is not None:
        raise ValueError("give --minutes or --seen, not both")
    if minutes is None and seen is None:
        minutes = 2.5 if fast else 5.0
    size, seed = getattr(begin, "config", begin).image_size, make_recipe(Recipe(), recipe).seed
    photos = photo_sets(size, images, captions, packed, shards, val_captions, val_data, seed)
    if photos is None:
        world = world_of(nouns, artists)
        said = CaptionStyle(mention=mention, manner=manner)
        task = drawn_task(size, pictures, test_pictures, world, said, seed, trained)
    else:
        task = photo_task(*photos)
    if image_tower:
        texts = (text for texts in task.data.captions for text in texts)
        begin = checkpoints.with_new_text(begin, texts, seed)
    model, history = train_clip(
        task.data,
        begin,
        minutes=minutes,
        seen=seen,
        recipe=make_recipe(task.recipe, recipe),
        eval_fn=task.eval_fn,
        eval_at=EVAL_AT,
        out=out,
        resume=resume,
        device=device,
        precision=precision,
        compile=compile,
    )
    if distributed.is_main_process():
        _tell(task, model, history, out, json_)


def _tell(task: Task, model: CLIP, history: History, out: Path, as_json: bool) -> None:
    """Test a trained model, and say where it is and what it can do."""
    figure = out.with_suffix(".png")
    table, result = task.finish(model, history, figure)
    if as_json:
        files = {"checkpoint": str(out), "figure": str(figure)}
        print(json.dumps(files | {"scores": result, "history": history.rows}))
    else:
        console.print(table)
    if checkpoints.read(out)[1]["history"] != history.rows:
        raise OSError(f"the last state could not be written; {out} holds an earlier one")
    if not as_json:
        console.print(
            f"The model is in {out}, a picture of what it says in {figure}.\n"
            "Open the notebooks with:  python -m miniclip lab",
            markup=False,
            highlight=False,
        )


def evaluate(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="A checkpoint file that training wrote, or a name that python -m miniclip models "
            "lists, such as picturebook or photos."
        ),
    ],
    on: Annotated[
        str | None,
        typer.Option(
            help="Name the classes of real pictures: cifar10, mnist, imagenette, ..., or a folder "
            "with a labels.json, see miniclip.data.labelled; or clip-benchmark/imagenet, .../coco "
            "and so on, with the names and prompts that published figures are measured with."
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="With --on: fetch the set if it is not here.")
    ] = False,
    images: Images = None,
    captions: Captions = None,
    packed: Packed = None,
    nouns: Annotated[
        str,
        typer.Option(help="Picturebook: test on the 'starter' nouns, the 'common' ones, or 'all'."),
    ] = "starter",
    artists: Artists = "trained",
    pictures: Annotated[
        int | None,
        typer.Option(
            help="Picturebook and --on: how many test pictures. By default 1,000, and all of a "
            "set of clip-benchmark."
        ),
    ] = None,
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
    """Test a trained model: naming on Picturebook pictures or on real ones with class labels
    (--on), retrieval on captioned photos (--data or --images)."""
    from miniclip.evaluation import benchmarks, clip_benchmark

    if on is not None and (images or packed):
        raise ValueError("--on asks for classes, --data and --images for captions; choose one")
    model = checkpoints.load(checkpoint)
    count = 1000 if pictures is None else pictures
    photos = load_data(images, captions, packed, size=model.config.image_size)
    if on is not None and clip_benchmark.is_benchmark(on):
        found = clip_benchmark.evaluate_on(model, clip_benchmark.open_set(on, download), pictures)
        known = clip_benchmark.published(checkpoint, on) if pictures is None else None
        tables = [report.benchmark_table(on, found, known)]
        result = report.benchmark_json(found, known)
    elif on is not None:
        data = labelled(on, count, model.config.image_size, download=download)
        scores = benchmarks.ask(model, data, template)
        tables = [report.scores_table(f"Zero-shot with '{template}' on {on}", scores)]
        result = report.scores_json(scores)
    elif photos is None:
        scores, recall = benchmarks.picturebook_scores(
            model,
            world_of(nouns, artists),
            count,
            template,
            seed,
            style,
        )
        title = f"Zero-shot with '{template}', on pictures it never saw"
        tables = [report.scores_table(title, scores), report.recall_table(recall)]
        result = report.scores_json(scores) | {"recall": asdict(recall)}
    else:
        recall = evaluate_retrieval(model, photos)
        tables, result = [report.recall_table(recall)], asdict(recall)
    if json_:
        print(json.dumps(result))
    else:
        console.print(*tables)


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint file that training wrote.")],
    out: Annotated[Path, typer.Argument(help="The smaller file to write.")],
    before: Annotated[
        str | None,
        typer.Option(help="The model that was trained further (--from): its history goes along."),
    ] = None,
) -> None:
    """Write a model without the state of its optimizer, weights in fp16: to hand it on."""
    model, training, _ = checkpoints.read(checkpoint)
    if before:
        training["before"] = checkpoints.read(checkpoints.SHIPPED.get(before, before))[1]
    checkpoints.save(model, out, {"shrunk from": training}, half=True)
    sizes = [f"{path} {path.stat().st_size / 1e6:.1f} MB" for path in (out, checkpoint)]
    console.print(
        f"{out} has {sizes[0].split(' ', 1)[1]}, {sizes[1]}", markup=False, highlight=False
    )
