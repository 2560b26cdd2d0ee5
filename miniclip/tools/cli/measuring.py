"""The commands `bench`, `study` and `doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from inspect import signature
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from miniclip.data import CaptionStyle
from miniclip.device import cpu_has_bf16
from miniclip.tools import bench as measure
from miniclip.tools.cli.options import AsJson, console, read_captions, read_recipe
from miniclip.tools.cli.report import make_table
from miniclip.training.recipe import Recipe


class Bench(str, Enum):
    """What can be measured."""

    training, inference, learning, data, answers = (
        "training",
        "inference",
        "learning",
        "data",
        "answers",
    )


def bench(
    only: Annotated[
        list[Bench] | None, typer.Option(help="Measure this alone; can be given several times.")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Training and inference: whose sizes to time, nano, tiny, small, base or vit-s-16."
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
    precision: Annotated[
        str | None,
        typer.Option(help="Learning: fp32 or bf16; by default bf16 on a CPU that is made for it."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="Learning: a choice of the recipe, such as lr=0.002; can be given several times."
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(help="Learning: what captions say, such as color=0; likewise."),
    ] = None,
    memory: Annotated[
        bool, typer.Option(help="Training: measure peak memory too, a process for each model.")
    ] = True,
    device: Annotated[
        str,
        typer.Option(
            help="Training: cpu, or cuda, where our model and open_clip's are also timed compiled."
        ),
    ] = "cpu",
    compiled: Annotated[
        bool, typer.Option(help="Training on cuda: compile, which takes a minute or two.")
    ] = True,
    json_: AsJson = False,
) -> None:
    """Measure speed; training and inference beside open_clip and transformers where they are
    installed (pip install -e .[bench])."""
    result: dict[str, dict] = {}
    for what in only or list(Bench):
        if what is Bench.training and device != "cpu":
            found = _speed_on_gpu(preset, batch_size, rounds, device, compiled)
        elif what in (Bench.training, Bench.inference):
            found = _speed(what, preset, batch_size, rounds, memory and what is Bench.training)
        elif what is Bench.learning:
            chosen = read_recipe(recipe or []), read_captions(captions or [])
            found = _learning(minutes, precision, *chosen)
        else:
            found = {Bench.data: _data, Bench.answers: _answers}[what]()
        result[what.value], table = found
        if not json_:
            console.print(table)
    if json_:
        print(json.dumps(result))


# Each of these measures one thing, and returns it as plain values and as a table.


def _speed(
    what: Bench, preset: str, batch_size: int, rounds: int, memory: bool
) -> tuple[dict, Table]:
    speeds = measure.speed(preset, batch_size, rounds, what.value, memory=memory)
    ours = speeds["miniclip fp32"].images_per_second
    rows = [
        (
            name,
            f"{speed.images_per_second:,.0f}",
            f"{speed.images_per_second / ours:.2f}",
            f"{speed.gemm_share:.0%}" if speed.gemm_share else "",
            f"{speed.memory:.0f} MB" if speed.memory else "",
        )
        for name, speed in speeds.items()
    ]
    title = (
        f"{what.value.capitalize()}, {preset}, {batch_size} pictures a step, "
        f"medians of {rounds} rounds in turn"
    )
    heads = ("model", "images/s", "to miniclip fp32", "of the fp32 GEMM rate", "peak memory")
    return {name: asdict(speed) for name, speed in speeds.items()}, make_table(title, heads, rows)


def _speed_on_gpu(
    preset: str, batch_size: int, rounds: int, device: str, compiled: bool
) -> tuple[dict, Table]:
    from miniclip.tools.gpu_bench import COMPILED, gpu_speed

    speeds = gpu_speed(preset, batch_size, rounds, device, compiled=COMPILED if compiled else ())
    rows = [
        (
            name,
            f"{speed.images_per_second:,.0f}",
            f"{speed.gemm_share:.0%}" if speed.gemm_share else "",
            f"{speed.memory:,.0f} MB" if speed.memory else "",
        )
        for name, speed in speeds.items()
    ]
    title = f"Training, {preset}, {batch_size} pictures a step, bf16, on {device}"
    heads = ("model", "images/s", "of a large product's rate", "peak memory")
    return {name: asdict(speed) for name, speed in speeds.items()}, make_table(title, heads, rows)


def _learning(
    minutes: float, precision: str | None, recipe: Recipe, captions: CaptionStyle
) -> tuple[dict, Table]:
    precision = precision or ("bf16" if cpu_has_bf16() else "fp32")
    how = {"precision": precision, "recipe": recipe, "captions": captions}
    learned = measure.time_to_learn(minutes, **how)
    shares = ("object", "color", "place", "unseen")
    rows = [
        (f"{row['seen']:,}", f"{row['minutes']:.2f}", *(f"{row[name]:.0%}" for name in shares))
        for row in learned["rows"]
    ]
    record = learned["record"]
    reached = f"after {record:.1f} minutes" if record else "not yet"
    title = (
        f"Learning, nano, {precision}; drawing took {learned['drawing']:.1f} minutes, batches "
        f"{learned['data_share']:.1%} of a step; {measure.RECORD:.0%} by unseen artists: {reached}"
    )
    heads = ("pictures seen", "minutes", "object", "color", "place", "object, unseen artists")
    return learned, make_table(title, heads, rows)


def _data() -> tuple[dict, Table]:
    rates = measure.data_speed()
    names = {
        "drawn": "Picturebook pictures drawn, 64 px",
        "packed": "photos of 640 x 480 packed at 128 px",
        "torchvision": "the same by torchvision",
    }
    rows = [(names[name], f"{rate:,.0f}") for name, rate in rates.items()]
    return rates, make_table("Data, on one core", ("what", "a second"), rows)


def _answers() -> tuple[dict, Table]:
    times = measure.answer_time()
    names = {"cached": "text vectors at hand", "uncached": "texts embedded too"}
    rows = [(names[name], f"{time:.1f}") for name, time in times.items()]
    title = "Answers: tiny, one picture, 20 prompts"
    return times, make_table(title, ("what", "milliseconds"), rows)


def study(
    name: Annotated[
        str,
        typer.Argument(
            help="'objectives', 'robustness', 'lessons', 'towers', 'parts', 'mistakes' or 'real'."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Result file, written part by part; by default one in this folder. Parts that it "
            "holds are not measured again."
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
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A part of it, and again for another; by default all. With real: a model of those "
            "that python -m miniclip models lists. With objectives: a condition, such as plain; "
            "with robustness: a way to train, such as labels; with lessons: one of them, such as "
            "signs. Several processes can write one file, each a part of its own."
        ),
    ] = None,
) -> None:
    """Run one of the long comparisons of trainings: the objectives of the paper's Figure 2, with
    captions that say more and more that no picture tells; robustness under shift; lessons that
    repair and cause failures; two image towers; the parts of a training, or mistakes in it. 'real'
    trains nothing: it measures what notebook 09 looks at on released models."""
    from miniclip.evaluation import real_study, studies

    if name not in studies.NAMES:
        raise ValueError(f"there is no study {name!r}; there are {', '.join(studies.NAMES)}")
    log = studies.Log(out or Path(f"{name.replace(' ', '-')}.json"), models)
    if name == "real" and (seen or precision or models):
        raise ValueError("the study 'real' trains nothing; leave out --seen, --precision, --models")
    if name == "real":
        real_study.real(log, only or real_study.MODELS)
    else:
        options = {"seen": seen} if seen else {}
        if only and "only" not in signature(studies.STUDIES[name]).parameters:
            raise ValueError(f"--only is not for the study {name!r}; leave it out")
        if only:
            options["only"] = only
        studies.STUDIES[name](log, **options, precision=precision)
    console.print(f"The result is in {log.path}", markup=False, highlight=False)


def doctor(json_: AsJson = False) -> None:
    """Look at this machine before a class: versions, device, a measured speed, what will be slow
    and what to do."""
    from miniclip.tools.doctor import doctor as look

    found = look(show=not json_)
    if json_:
        print(json.dumps(found))
