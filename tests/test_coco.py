"""Promises of fetching COCO: a subset is the same everywhere, nothing is fetched twice, and
whatever a server does wrong is told in a sentence.

A server on this machine has COCO's layout and misbehaves on demand. Its photos are real ones
where `../shared/data` is there, drawn ones elsewhere.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import miniclip
import miniclip.data.coco2017 as coco_module
from miniclip.data import coco, folder
from miniclip.data.coco2017 import captions_file, karpathy, order
from miniclip.tools.cli import app

REAL = Path(__file__).parents[2] / "shared" / "data" / "coco"

COUNT = 40


def photos() -> dict[int, bytes]:
    if REAL.is_dir():
        return {
            int(path.stem): path.read_bytes()
            for path in sorted((REAL / "val2017").iterdir())[:COUNT]
        }
    made = {}
    for number, image in enumerate(
        miniclip.data.picturebook(COUNT, seed=5, size=160, progress=False).images
    ):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        made[1000 + 7 * number] = buffer.getvalue()
    return made


class World:
    """What the server has, how it is to misbehave (path: a list of ways, one a request), and what
    it was asked for."""

    def __init__(self):
        self.photos, self.wrong, self.delay = photos(), {}, 0.0
        self.asked, self.times, self.ranges = Counter(), {}, []
        images = [
            {
                "id": number,
                "file_name": f"{number:012d}.jpg",
                "license": 1 + row % 4,
                "flickr_url": f"http://flickr.example/{number}",
            }
            for row, number in enumerate(self.photos)
        ]
        notes = [
            {"id": 5 * number + k, "image_id": number, "caption": f"caption {k} of {number}"}
            for number in self.photos
            for k in range(5)
        ]
        self.captions = {
            "info": {"description": "COCO"},
            "licenses": [
                {"id": k, "name": f"Licence {k}", "url": f"http://licence.example/{k}"}
                for k in range(1, 5)
            ],
            "images": images,
            "annotations": notes,
        }
        self.files = {
            f"/val2017/{number:012d}.jpg": content for number, content in self.photos.items()
        }
        self.files["/annotations/annotations_trainval2017.zip"] = self.zip(
            {
                "annotations/captions_val2017.json": json.dumps(self.captions).encode(),
                "../evil.txt": b"evil",
            }
        )
        self.files["/zips/val2017.zip"] = self.zip(
            {
                **{
                    f"val2017/{number:012d}.jpg": content for number, content in self.photos.items()
                },
                "../../evil.txt": b"evil",
            }
        )

    @staticmethod
    def zip(files):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    def fetched(self):
        return {path: times for path, times in self.asked.items() if path.startswith("/val2017/")}


@pytest.fixture
def world(monkeypatch):
    world = World()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            world.asked[self.path] += 1
            world.times.setdefault(self.path, []).append(time.monotonic())
            time.sleep(world.delay)
            ways = world.wrong.get(self.path) or world.wrong.get("*") or []
            way = (ways.pop(0) if isinstance(ways, list) else ways) if ways else None
            content = world.files.get(self.path)
            if way == "later":
                self.send_response(429)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            if isinstance(way, int) or content is None:
                return self.send_error(way or 404)
            kind, start = "image/jpeg", 0
            if "Range" in self.headers:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                world.ranges.append(start)
            if way == "html":
                kind, content = "text/html; charset=utf-8", b"<html>please log in</html>"
            if way == "garbage":
                content = content[
                    : len(content) // 2
                ]  # whole as far as its length tells, and no whole photo
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(
                content[start : len(content) // 2] if way == "cut" else content[start:]
            )

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # Looks often whether it is to stop: by default it takes half a second, once a test.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    world.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(coco_module, "PATIENCE", 0.01)
    yield world
    server.shutdown()


@pytest.fixture
def fetch(world, tmp_path):
    def call(**options):
        return coco(
            "val2017",
            **{
                "images": 12,
                "size": 32,
                "server": world.url,
                "cache": tmp_path / "cache",
                "progress": False,
                **options,
            },
        )

    return call


def photo(number):
    return f"/val2017/{number:012d}.jpg"


# ---- what is fetched


def test_a_subset_is_part_of_a_larger_one_and_is_what_a_folder_would_give(world, fetch, tmp_path):
    small, large = fetch(images=5), fetch(images=12)
    assert (
        large.ids.tolist() == order(world.photos)[:12]
        and small.ids.tolist() == large.ids.tolist()[:5]
    )
    assert (
        np.array_equal(small.images, large.images[:5])
        and small.captions == large.captions[:5]
        and len(small.captions[0]) == 5
    )
    (tmp_path / "all").mkdir()
    for number, content in world.photos.items():
        (tmp_path / "all" / f"{number:012d}.jpg").write_bytes(content)
    whole = folder(
        tmp_path / "all", tmp_path / "cache" / "captions_val2017.json", size=32, progress=False
    )
    rows = [whole.ids.tolist().index(number) for number in large.ids]
    assert np.array_equal(whole.images[rows], large.images)
    assert not list(tmp_path.rglob("evil*")) and not list(tmp_path.rglob("originals/*/*.jpg"))


def test_a_finished_set_is_opened_without_asking_anyone(world, fetch):
    first = fetch()
    asked = world.asked.copy()
    again = fetch()
    assert (
        world.asked == asked
        and np.array_equal(first.images, again.images)
        and str(first.report) == str(again.report)
    )
    with pytest.raises(ValueError, match="holds another set"):
        fetch(images=3, out=Path(first.images.filename).parent)


def test_only_chosen_licences_and_whose_each_photo_is(world, fetch, tmp_path):
    data = fetch(licenses=(2, 4), out=tmp_path / "free")
    assert set(data.facts["license"]) <= {2, 4} and len(data) == 12
    with open(tmp_path / "free" / "attribution.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == data.ids.tolist()
    assert (
        rows[0]["license"] == f"Licence {data.facts['license'][0]}"
        and rows[0]["flickr_url"] == f"http://flickr.example/{data.ids[0]}"
    )
    with pytest.raises(
        ValueError, match="licence 9 is not in captions_val2017.json; there are 1 Licence 1"
    ):
        fetch(licenses=(9,))


def test_originals_are_kept_on_request(world, fetch, tmp_path):
    data = fetch(keep_originals=True)
    for number in data.ids:
        assert (
            tmp_path / "cache" / "originals" / "val2017" / f"{number:012d}.jpg"
        ).read_bytes() == world.photos[number]


def test_most_of_a_split_comes_as_one_archive(world, fetch, monkeypatch, tmp_path):
    monkeypatch.setitem(coco_module.SPLITS, "val2017", COUNT)
    single, whole = fetch(images=12), fetch(images=None)
    assert (
        world.asked["/zips/val2017.zip"] == 1 and len(world.fetched()) >= 12 and len(whole) == COUNT
    )
    assert np.array_equal(whole.images[:12], single.images) and not list(tmp_path.rglob("evil*"))


def test_a_broken_photo_in_the_archive_is_reported_and_left_out(world, fetch, monkeypatch):
    monkeypatch.setitem(coco_module.SPLITS, "val2017", COUNT)
    numbers = order(world.photos)
    world.photos[numbers[2]] = b"no photo"
    world.files["/zips/val2017.zip"] = world.zip(
        {f"val2017/{number:012d}.jpg": content for number, content in world.photos.items()}
    )
    data = fetch(images=None)
    assert data.ids.tolist() == numbers[:2] + numbers[3:] and data.report.skipped == {
        "broken image (no picture format that is known)": [f"{numbers[2]:012d}.jpg"]
    }


def test_an_attribution_that_is_missing_is_written_when_the_set_is_opened(world, fetch, tmp_path):
    fetch(out=tmp_path / "set")
    before = (tmp_path / "set" / "attribution.csv").read_bytes()
    (tmp_path / "set" / "attribution.csv").unlink()  # as if killed just before
    fetch(out=tmp_path / "set")
    assert (tmp_path / "set" / "attribution.csv").read_bytes() == before


# ---- servers that misbehave


def test_what_may_pass_is_tried_again(world, fetch):
    numbers = order(world.photos)
    for number, way in zip(numbers, ([503], ["cut"], ["html"], ["garbage"], [503, "cut", "html"])):
        world.wrong[photo(number)] = way
    assert fetch().ids.tolist() == numbers[:12]
    assert [world.asked[photo(number)] for number in numbers[:6]] == [2, 2, 2, 2, 4, 1]


def test_a_server_that_asks_for_patience_gets_it(world, fetch):
    numbers = order(world.photos)
    world.wrong[photo(numbers[0])] = ["later"]
    fetch()  # with PATIENCE of a hundredth of a second, see above
    first, second = world.times[photo(numbers[0])]
    assert second - first >= 1


def test_a_photo_that_is_gone_is_reported_and_left_out(world, fetch):
    numbers = order(world.photos)
    world.wrong[photo(numbers[3])] = [404]
    data = fetch()
    assert data.ids.tolist() == numbers[:3] + numbers[4:13] and data.report.skipped == {
        "gone from the server": [f"{numbers[3]:012d}.jpg"]
    }


@pytest.mark.parametrize(
    "way, sentence",
    [
        (
            503,
            "answers 503: the server is busy, 6 times in a row; "
            "try the same command again later, it goes on from here",
        ),
        ("html", "sends a web page instead of the file"),
        ("cut", "breaks off"),
        ("garbage", "sends something that is no whole photo"),
        (403, "answers 403 .*it refuses to give the file, so trying again does not help"),
    ],
)
def test_what_does_not_pass_is_told_and_nothing_is_lost(world, fetch, way, sentence):
    numbers = order(world.photos)
    world.wrong[photo(numbers[6])] = [way] * 6 if way != 403 else [403]
    with pytest.raises(ConnectionError, match=sentence):
        fetch(connections=1)
    before = world.asked[photo(numbers[0])]
    assert fetch(connections=1).ids.tolist() == numbers[:12]  # it has recovered
    assert (
        before == 1 == world.asked[photo(numbers[0])]
        and max(world.asked[photo(number)] for number in numbers[:6]) == 1
    )


def test_no_server_at_all_is_told(world, fetch):
    with pytest.raises(ConnectionError, match="cannot be reached or breaks off"):
        fetch(server="http://127.0.0.1:9")
    with pytest.raises(
        ConnectionError, match="is http://127.0.0.1:[0-9]+/nowhere a server of COCO"
    ):
        fetch(server=world.url + "/nowhere")


def test_the_archive_of_captions_goes_on_where_it_broke_off(world, tmp_path, monkeypatch):
    monkeypatch.setattr(coco_module, "CHUNK", 1000)
    path = "/annotations/annotations_trainval2017.zip"
    world.wrong[path] = ["cut", "html", 503]
    file = captions_file("val2017", tmp_path, coco_module.Server(world.url))
    assert json.loads(file.read_text()) == world.captions and world.asked[path] == 4
    assert world.ranges and set(world.ranges) == {len(world.files[path]) // 2 // 1000 * 1000}
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "annotations_trainval2017.zip").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match="it was deleted, run the same again"):
        captions_file("val2017", tmp_path / "b")


def test_too_small_a_disk_is_told_before_anything_is_fetched(world, fetch, monkeypatch):
    monkeypatch.setattr(
        coco_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})()
    )
    with pytest.raises(OSError, match="ask for fewer images, a smaller size, or another folder"):
        fetch()
    assert not world.asked


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_fetches_nothing_twice(world, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import miniclip.data as d; d.coco('val2017', images=30, size=32, "
        f"server={world.url!r}, cache={str(tmp_path)!r}, connections=2, progress=False)",
    ]
    world.delay = 0.03
    for stop_after in (3, 11, 19):
        process = subprocess.Popen(command)
        while len(world.fetched()) < stop_after and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    data = coco("val2017", images=30, size=32, server=world.url, cache=tmp_path, progress=False)
    assert data.ids.tolist() == order(world.photos)[:30]
    assert (
        sum(world.fetched().values()) <= len(world.fetched()) + 3 * 2
    )  # but for those that were on their way


def test_the_command_line_fetches_and_tells_how_to_go_on(world, tmp_path):
    command = [
        "data",
        "coco",
        "--split",
        "val2017",
        "--images",
        "6",
        "--size",
        "32",
        "--licenses",
        "1,2",
        "--server",
        world.url,
        "--cache",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, command)
    place = tmp_path / "val2017-6-32-licence1-licence2"
    assert (
        done.exit_code == 0 and "6 kept" in done.output and miniclip.data.load(place).ids.tolist()
    )
    wrong = CliRunner().invoke(app, [*command[:8], "--licenses", "free"])
    assert isinstance(
        wrong.exception, ValueError
    ) and "a list of numbers such as 4,5, not 'free'" in str(wrong.exception)


def add_train_split(world, count):
    """Give the server `count` photos of train2017, too, with their captions and the archive."""
    pictures = miniclip.data.picturebook(count, seed=6, size=160, progress=False)
    captions = world.captions | {"images": [], "annotations": []}
    archive = {}
    for number, (image, texts) in enumerate(zip(pictures.images, pictures.captions), 500_000):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        archive[f"train2017/{number:012d}.jpg"] = buffer.getvalue()
        captions["images"].append({"id": number, "file_name": f"{number:012d}.jpg", "license": 4})
        captions["annotations"] += [
            {"id": 5 * number + k, "image_id": number, "caption": text}
            for k, text in enumerate(texts)
        ]
    world.files |= {f"/{name}": content for name, content in archive.items()}
    world.files["/zips/train2017.zip"] = world.zip(archive)
    world.files["/annotations/annotations_trainval2017.zip"] = world.zip(
        {
            "annotations/captions_val2017.json": json.dumps(world.captions).encode(),
            "annotations/captions_train2017.json": json.dumps(captions).encode(),
        }
    )


# What makes the guide's commands small enough for a test.
SMALLER = {
    " small ": " nano ",
    " 1024 ": " 16 ",
    " 3500000 ": " 64 ",
    " --compile": "",
    "torchrun --nproc-per-node 4": f"{sys.executable} -m torch.distributed.run --nproc-per-node 2",
}


@pytest.mark.slow
def test_the_guides_commands_lead_from_download_to_a_table_of_all_photos(
    world, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    add_train_split(world, 60)
    guide = (Path(__file__).parents[1] / "datasets" / "training.md").read_text(encoding="utf-8")
    blocks = guide.partition("### All of COCO")[2].split("```")[1:4:2]
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert len(lines) == 5 and lines[4].startswith("torchrun")
    for line in lines:
        for old, new in SMALLER.items():
            line = line.replace(old, new)
        if " data coco " in line:
            line += f" --server {world.url} --cache {tmp_path / 'cache'}"
        said = follow(line)
        if " data coco " not in line:
            assert f"{COUNT:,} pictures" in said and "recall" in said.lower()


def follow(line):
    """Run a line of the guide, in this process if it needs no other, and return what it says."""
    words = line.split()
    if words[:3] == ["python", "-m", "miniclip"]:
        done = CliRunner().invoke(app, words[3:])
        assert done.exit_code == 0, done.output
        return done.stdout
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# ---- arguments, and Karpathy's split


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"split": "test2017"}, "split is train2017 or val2017, not 'test2017'"),
        ({"connections": 100}, "connections is 100; expected 1 to 32"),
        ({"size": 3}, "size is 3; expected"),
        ({"images": 0}, "images is 0; expected 1 or more"),
        ({"images": -3}, "images is -3; expected 1 or more"),
    ],
)
def test_bad_arguments_get_a_sentence(world, tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        coco(
            **{
                "images": 4,
                "split": "val2017",
                "server": world.url,
                "cache": tmp_path,
                "progress": False,
                **options,
            }
        )


def test_karpathys_split_is_read(tmp_path):
    path = tmp_path / "dataset_coco.json"
    path.write_text(
        json.dumps(
            {
                "images": [
                    {"cocoid": 7, "split": "test"},
                    {"cocoid": 3, "split": "train"},
                    {"cocoid": 5, "split": "test"},
                ]
            }
        )
    )
    assert karpathy(path) == [7, 5] and karpathy(path, "train") == [3]
    with pytest.raises(ValueError, match="no split 'dev'; there are test, train"):
        karpathy(path, "dev")
    path.write_text("{}")
    with pytest.raises(ValueError, match="is not Karpathy's dataset_coco.json"):
        karpathy(path)
