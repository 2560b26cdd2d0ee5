"""Promises of the data set type, of its packed form, and of reading folders of photos in COCO's
format."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miniclip.data import folders, picturebook
from miniclip.data.captioned import CaptionedImages, load
from miniclip.data.folders import folder, pack, read_captions

REAL = Path(__file__).parents[2] / "shared/data"
needs_photos = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"the real photos for development are not at {REAL}"
)
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def some(n=10, size=8) -> CaptionedImages:
    rng = np.random.default_rng(0)
    facts = {
        "object": np.array([f"chose n° {i}" for i in range(n)]),
        "count": np.arange(n),
        "box": rng.random((n, 4)),
        "file": np.array(["a"] * n),
    }
    return CaptionedImages(
        rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8),
        [[f"picture {i}", 'é "quoted"\n'] for i in range(n)],
        ids=np.arange(n) * 7 + 100,
        facts=facts,
        info={"name": "some", "licence": "none"},
    )


def same(a: CaptionedImages, b: CaptionedImages) -> bool:
    return (
        np.array_equal(a.images, b.images)
        and a.captions == b.captions
        and np.array_equal(a.ids, b.ids)
        and a.facts.keys() == b.facts.keys()
        and all(
            np.array_equal(a.facts[name], b.facts[name])
            and a.facts[name].dtype.kind == b.facts[name].dtype.kind
            for name in a.facts
        )
    )


# ---- the data set type


def test_one_row_is_an_image_and_its_captions():
    data = some()
    image, captions = data[3]
    assert np.array_equal(image, data.images[3]) and captions == data.captions[3]
    assert data[-1][1] == data.captions[9] and data[np.int64(2)][1] == data.captions[2]
    assert [texts for _, texts in data] == data.captions and len(data) == 10


def test_a_row_is_a_copy_that_can_be_drawn_upon():
    data = some()
    data[3][0][:] = 0
    data[3][1].append("more")
    assert data.images[3].any() and len(data.captions[3]) == 2


@pytest.mark.parametrize(
    "rows",
    [
        slice(2, 5),
        slice(None, None, -3),
        [4, 1, 1, -1],
        np.array([9, 0]),
        np.arange(10) % 2 == 0,
        [],
        [False] * 10,
    ],
)
def test_a_choice_of_rows_is_a_set_with_its_ids_and_facts(rows):
    data = some()
    chosen, expected = (
        data[rows],
        np.arange(10)[rows if isinstance(rows, slice) or len(rows) else []],
    )
    assert isinstance(chosen, CaptionedImages) and np.array_equal(
        chosen.images, data.images[expected]
    )
    assert chosen.captions == [data.captions[i] for i in expected] and np.array_equal(
        chosen.ids, data.ids[expected]
    )
    assert (
        all(np.array_equal(chosen.facts[name], data.facts[name][expected]) for name in data.facts)
        and chosen.info == data.info
    )


@pytest.mark.parametrize(
    "rows", [10, -11, [3, 10], [True, False], [0.5], "3", None, np.zeros((2, 2), int)]
)
def test_rows_that_do_not_exist_are_refused_with_a_sentence(rows):
    with pytest.raises(IndexError, match="there are 10 images|rows are chosen by"):
        some()[rows]


def test_split_deals_every_image_to_one_side_the_same_way_each_time():
    data = some()
    first, rest = data.split(0.7, seed=3)
    assert len(first) == 7 and sorted([*first.ids, *rest.ids]) == list(data.ids)
    assert same(first, data.split(0.7, seed=3)[0]) and not same(first, data.split(0.7, seed=4)[0])
    for fraction in (0, 1, 0.01, 1.5, float("nan")):
        with pytest.raises(ValueError, match="leaves one side empty"):
            data.split(fraction)


IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"images": IMAGES.astype(float)}, "float64 of shape .*expected a numpy array of uint8"),
        ({"images": IMAGES[..., 0]}, r"\(2, 4, 4\); expected"),
        ({"images": [1, 2]}, "images are a list"),
        ({"captions": [["a"]]}, "captions has length 1 and images 2"),
        (
            {"captions": ["a dog", ["a cat"]]},
            r"captions\[0\] is 'a dog'.*put a single caption into a list",
        ),
        ({"captions": [["a"], []]}, r"captions\[1\] is \[\]"),
        ({"captions": [["a"], [3]]}, r"captions\[1\] is \[3\]"),
        ({"ids": [1]}, r"ids is int64 of shape \(1,\)"),
        ({"ids": ["1", "2"]}, "expected 2 whole numbers"),
        ({"facts": {"colour": ["red"]}}, "fact 'colour' is .*2 on the first axis"),
        ({"facts": {"what": np.array([None, "a"])}}, "fact 'what' is object"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        CaptionedImages(**{"images": IMAGES, "captions": [["a"], ["b"]], **change})


# ---- saving and loading


def test_saved_and_loaded_is_the_same(tmp_path):
    data = some()
    loaded = load(data.save(tmp_path / "new" / "set"))
    assert same(data, loaded) and loaded.info == data.info
    assert isinstance(loaded.images, np.memmap) and isinstance(
        loaded[2:5].images, np.memmap
    )  # on disk until asked for
    bare = CaptionedImages(data.images, data.captions)
    assert (
        same(bare, load(bare.save(tmp_path / "bare")))
        and not (tmp_path / "bare" / "facts.npz").exists()
    )


def test_other_tools_can_read_a_saved_set(tmp_path):
    data = some()
    data.save(tmp_path)
    document = json.loads((tmp_path / "captions.json").read_text(encoding="utf-8"))
    assert {"info", "licenses", "images", "annotations"} <= document.keys()
    assert [record["id"] for record in document["images"]] == data.ids.tolist()
    assert all({"file_name", "width", "height"} <= record.keys() for record in document["images"])
    of_third = [
        record["caption"] for record in document["annotations"] if record["image_id"] == data.ids[3]
    ]
    assert (
        of_third == data.captions[3]
        and len({record["id"] for record in document["annotations"]}) == 20
    )
    assert np.array_equal(np.load(tmp_path / "images.npy"), data.images)
    assert np.array_equal(np.load(tmp_path / "facts.npz")["object"], data.facts["object"])


def test_saving_replaces_an_older_set_and_leaves_nothing_else(tmp_path):
    some(10).save(tmp_path)
    some(4).save(tmp_path)
    assert same(load(tmp_path), some(4))
    assert sorted(os.listdir(tmp_path)) == ["captions.json", "facts.npz", "images.npy"]


@pytest.mark.parametrize("move", range(5))
def test_a_crash_while_saving_never_leaves_a_mix_of_two_sets(tmp_path, monkeypatch, move):
    old, new = some(10), some(10)
    new.images[:] = 7
    old.save(tmp_path)
    real, moves = os.replace, []

    def crash(*where):
        moves.append(where)
        if len(moves) > move:
            raise KeyboardInterrupt
        real(*where)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        new.save(tmp_path)
    if move < 2:  # still writing, aside
        assert same(load(tmp_path), old)
    else:
        with pytest.raises(FileNotFoundError, match="no captions.json; pack"):
            load(tmp_path)


def test_what_cannot_be_told_apart_or_is_empty_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="id 107 occurs 2 times"):
        some()[[1, 1, 2]].save(tmp_path)
    with pytest.raises(ValueError, match="no images to save"):
        some()[:0].save(tmp_path)


def _cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


DAMAGE = {
    "pixels cut off": lambda place: _cut(place / "images.npy", -10),
    "pixels gone": lambda place: _cut(place / "images.npy", 0),
    "captions cut off": lambda place: _cut(place / "captions.json", -30),
    "captions of another kind": lambda place: (place / "captions.json").write_text(
        '{"images": []}'
    ),
    "captions no object": lambda place: (place / "captions.json").write_text("[1]"),
    "facts cut off": lambda place: _cut(place / "facts.npz", -30),
    "facts gone": lambda place: (place / "facts.npz").unlink(),
    "pixels of another set": lambda place: np.save(
        place / "images.npy", np.zeros((9, 8, 8, 3), np.uint8)
    ),
    "pixels of another type": lambda place: np.save(place / "images.npy", np.zeros((10, 8, 8, 3))),
    "pixels that hide a pickle": lambda place: np.save(
        place / "images.npy", np.array([{}]), allow_pickle=True
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_refused_with_a_sentence(tmp_path, damage):
    some().save(tmp_path)
    DAMAGE[damage](tmp_path)
    with pytest.raises(
        ValueError, match="is no whole packed set: .*; delete the folder and pack or save it again"
    ):
        load(tmp_path)


def test_a_missing_set_is_refused_with_a_sentence(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="no captions.json and no images.npy; pack"):
            load(place)


def test_a_full_disk_is_told_in_a_sentence_and_leaves_the_old_set(tmp_path, monkeypatch):
    some().save(tmp_path)

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("miniclip.data.captioned.to_disk", full)
    with pytest.raises(OSError, match="is full; make room"):
        some(4).save(tmp_path)
    assert same(load(tmp_path), some()) and len(os.listdir(tmp_path)) == 3


# ---- captions files


def write_captions(path, images, annotations, **more):
    document = {
        "info": {"description": "a test"},
        "images": [{"id": i, "file_name": name} for i, name in images],
        "annotations": [
            {"id": n, "image_id": i, "caption": text} for n, (i, text) in enumerate(annotations)
        ],
        **more,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_captions_are_tidied(tmp_path):
    path = write_captions(
        tmp_path / "c.json",
        [(1, "a.jpg")],
        [(1, "  a\n dog\t. "), (1, " \n"), (1, "two")],
        licenses=[{"id": 1}],
    )
    images, captions, info = read_captions(path)
    assert images == [{"id": 1, "file_name": "a.jpg"}] and captions == {1: ["a dog .", "two"]}
    assert info == {"description": "a test", "licenses": [{"id": 1}]}


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("{", "is not JSON"),
        ("\x00\x01", "is not JSON"),
        ("[]", "no list 'images'"),
        ('{"images": []}', "no list 'annotations'"),
        ('{"images": [{"id": 1}], "annotations": []}', r"images\[0\].*'file_name' is missing"),
        (
            '{"images": [{"id": "x", "file_name": "a"}], "annotations": []}',
            "ids being whole numbers",
        ),
        (
            '{"images": [], "annotations": [{"image_id": 1, "bbox": [0]}]}',
            r"annotations\[0\].*take captions_",
        ),
    ],
)
def test_what_is_no_captions_file_is_refused_with_a_sentence(tmp_path, text, sentence):
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        read_captions(tmp_path / "c.json")
    with pytest.raises(FileNotFoundError, match="no captions file"):
        read_captions(tmp_path / "d.json")


# ---- folders of photos


def halves(left, right, size=(60, 40)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


@pytest.fixture
def zoo(tmp_path):
    """One photo of every difficult kind; gives the folder and the captions file."""
    place = tmp_path / "photos"
    place.mkdir()
    plain = halves(RED, BLUE)
    plain.save(place / "plain.png")
    plain.convert("L").save(place / "grey.jpg", quality=95)
    plain.convert("CMYK").save(place / "cmyk.jpg", quality=95)
    palette = plain.quantize(4)
    palette.save(
        place / "palette.png", transparency=palette.getpixel((0, 0))
    )  # its red half is transparent
    clear = plain.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 30, 40))
    clear.save(place / "clear.png")
    Image.fromarray(np.repeat(np.array([[0, 65535]], np.uint16), 30, 1).repeat(40, 0)).save(
        place / "deep.png"
    )
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side: turn by 90 degrees clockwise
    plain.save(place / "turned.jpg", exif=turned, quality=95)
    halves(GREEN, BLUE, (12, 10)).save(place / "small.png")
    halves(GREEN, BLUE, (3, 900)).save(place / "thin.png")
    Image.effect_noise((200, 200), 80).save(place / "cut.jpg")
    _cut(place / "cut.jpg", 2000)
    (place / "text.jpg").write_text("not a picture")
    (place / "empty.jpg").write_bytes(b"")
    (place / "folder.jpg").mkdir()
    for name in ("silent.png", "blank.png"):
        plain.save(place / name)
    plain.save(tmp_path / "secret.png")
    names = [
        "plain.png",
        "grey.jpg",
        "cmyk.jpg",
        "palette.png",
        "cut.jpg",
        "clear.png",
        "deep.png",
        "text.jpg",
        "turned.jpg",
        "small.png",
        "thin.png",
        "empty.jpg",
        "folder.jpg",
        "gone.jpg",
        "../secret.png",
        "..\\secret.png",
        str(tmp_path / "secret.png"),
        "C:\\secret.png",
        "silent.png",
        "blank.png",
    ]
    images = [(10 * i, name) for i, name in enumerate(names)]
    captions = [
        (i, f"{name}, caption {k}") for i, name in images if name != "silent.png" for k in range(2)
    ]
    captions = [(i, " " if "blank" in text else text) for i, text in captions] + [
        (999, "of nothing")
    ]
    return place, write_captions(tmp_path / "captions.json", images + [(0, "plain.png")], captions)


KEPT = [
    "plain.png",
    "grey.jpg",
    "cmyk.jpg",
    "palette.png",
    "clear.png",
    "deep.png",
    "turned.jpg",
    "small.png",
    "thin.png",
]


def quietly(*args, **options):
    return folder(*args, **{"size": 32, "progress": False, **options})


def test_the_report_names_every_photo_left_out_and_counts_every_conversion(zoo):
    data = quietly(*zoo)
    skipped = {
        reason: [Path(name.replace("\\", "/")).name for name in names]
        for reason, names in data.report.skipped.items()
    }
    assert skipped == {
        "caption without image": ["image id 999"],
        "broken image (cut off)": ["cut.jpg"],
        "missing file": ["folder.jpg", "gone.jpg"],
        "broken image (no picture format that is known)": ["text.jpg", "empty.jpg"],
        "file name leads out of the folder": ["secret.png"] * 4,
        "image without caption": ["silent.png", "blank.png"],
        "image id listed twice": ["plain.png"],
    }
    assert data.report.converted == {
        "greyscale to RGB": 2,
        "CMYK to RGB": 1,
        "palette to RGB": 1,
        "alpha over white": 2,
        "16-bit to 8-bit": 1,
        "rotated by EXIF": 1,
        "enlarged": 2,
    }
    assert data.report.kept == len(data) == len(KEPT)
    text = str(data.report)
    assert (
        text.startswith("9 kept, 13 skipped\n")
        and "missing file: 2 (folder.jpg, gone.jpg)" in text
        and "converted, CMYK to RGB: 1" in text
    )


def test_photos_keep_their_captions_ids_and_names(zoo):
    data = quietly(*zoo)
    assert data.facts["file_name"].tolist() == KEPT and data.images.shape == (9, 32, 32, 3)
    assert data.captions == [[f"{name}, caption 0", f"{name}, caption 1"] for name in KEPT]
    assert (
        data.ids.tolist() == [0, 10, 20, 30, 50, 60, 80, 90, 100]
        and data.info["description"] == "a test"
    )


def test_every_mode_becomes_the_colours_one_sees(zoo):
    data = quietly(*zoo)
    left, right = (dict(zip(KEPT, data.images[:, 16, column].astype(int))) for column in (4, 28))

    def near(pixel, colour, by=6):
        return np.abs(pixel - colour).max() <= by

    for name in ("plain.png", "cmyk.jpg"):
        assert near(left[name], RED) and near(right[name], BLUE), name
    for name in ("palette.png", "clear.png"):
        assert near(left[name], (255, 255, 255), 0) and near(right[name], BLUE), name
    luma = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in (RED, BLUE)]
    assert near(left["grey.jpg"], luma[0]) and near(right["grey.jpg"], luma[1])
    assert near(left["deep.png"], 0, 0) and near(right["deep.png"], 255, 0)
    assert near(left["small.png"], GREEN) and near(right["thin.png"], BLUE)
    turned = data.images[KEPT.index("turned.jpg")].astype(int)
    assert near(turned[4, 16], RED, 10) and near(turned[28, 16], BLUE, 10)  # left came to the top


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone_as_pil_does(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (33, 24, 3), dtype=np.uint8))
    image.save(tmp_path / "a.png", exif=exif)
    ImageOps.exif_transpose(Image.open(tmp_path / "a.png")).save(
        tmp_path / "b.png", exif=Image.Exif()
    )
    file = write_captions(tmp_path / "c.json", [(1, "a.png"), (2, "b.png")], [(1, "a"), (2, "b")])
    data = quietly(tmp_path, file, size=24)
    assert np.array_equal(data.images[0], data.images[1])
    assert data.report.converted == ({"rotated by EXIF": 1} if orientation > 1 else {})


def test_a_decompression_bomb_is_skipped(zoo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1300)
    # An error at twice as many; photos of the zoo have 2,400, thin.png 2,700, cut.jpg 40,000.
    with pytest.warns(Image.DecompressionBombWarning):
        assert quietly(*zoo).report.skipped["broken image (too many pixels)"] == [
            "cut.jpg",
            "thin.png",
        ]


def test_no_photo_at_all_is_an_error_that_holds_the_report(zoo, tmp_path):
    (tmp_path / "none").mkdir()
    for out in (None, tmp_path / "out"):
        with pytest.raises(ValueError, match="(?s)0 kept.*missing file: .*Give the folder"):
            quietly(tmp_path / "none", zoo[1], out=out)
    with pytest.raises(FileNotFoundError, match="no folder"):
        quietly(tmp_path / "nowhere", zoo[1])
    for wrong, sentence in (
        ({"size": 0}, "size is 0"),
        ({"size": 64.0}, "size is 64.0"),
        ({"limit": 0}, "limit is 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            quietly(*zoo, **wrong)


def test_limit_counts_photos_kept(zoo):
    assert same(quietly(*zoo, limit=5), quietly(*zoo)[:5])


# ---- packing


@pytest.fixture
def reads(monkeypatch):
    """The names of the files decoded; after `stop_after` of them the user interrupts."""
    names, real = [], folders.square

    def counted(path, size):
        if len(names) == counted.stop_after:
            raise KeyboardInterrupt
        names.append(path.name)
        return real(path, size)

    counted.stop_after = -1
    monkeypatch.setattr(folders, "square", counted)
    return names, counted


def test_packing_gives_what_reading_gives_bit_for_bit(zoo, tmp_path):
    read, packed = quietly(*zoo), quietly(*zoo, out=tmp_path / "out")
    assert (
        same(read, packed) and read.report == packed.report and isinstance(packed.images, np.memmap)
    )
    assert sorted(os.listdir(tmp_path / "out")) == ["captions.json", "facts.npz", "images.npy"]
    assert same(load(tmp_path / "out"), read)


def test_a_finished_pack_opens_without_reading_a_photo(zoo, tmp_path, reads):
    first = quietly(*zoo, out=tmp_path / "out")
    reads[0].clear()
    again = quietly(*zoo, out=tmp_path / "out")
    assert same(first, again) and again.report == first.report and reads[0] == []


@pytest.mark.parametrize("stop", range(0, 12))
@pytest.mark.parametrize("flush", [1, 4, 256])
def test_an_interrupted_pack_goes_on_and_decodes_nothing_twice(
    zoo, tmp_path, reads, monkeypatch, stop, flush
):
    monkeypatch.setattr(folders, "FLUSH", flush)
    names, counted = reads
    counted.stop_after = stop
    with pytest.raises(KeyboardInterrupt):
        quietly(*zoo, out=tmp_path / "out")
    counted.stop_after = -1
    packed = quietly(*zoo, out=tmp_path / "out")
    assert len(names) == len(set(names)) == 12
    read = quietly(*zoo)
    assert same(packed, read) and packed.report == read.report


@pytest.mark.parametrize("move", range(4))
def test_a_crash_at_the_finish_goes_on_without_reading_a_photo(
    zoo, tmp_path, reads, monkeypatch, move
):
    real, moves = os.replace, []

    def crash(*where):
        moves.append(where)
        if len(moves) == move + 1:
            raise KeyboardInterrupt
        real(*where)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        quietly(*zoo, out=tmp_path / "out")
    reads[0].clear()
    packed = quietly(*zoo, out=tmp_path / "out")
    assert reads[0] == [] and same(packed, quietly(*zoo)) and packed.report.kept == 9


def test_what_a_power_cut_left_half_written_is_read_again(zoo, tmp_path, reads):
    names, counted = reads
    counted.stop_after = 6
    with pytest.raises(KeyboardInterrupt):
        quietly(*zoo, out=tmp_path / "out")
    with (
        open(tmp_path / "out/unfinished/journal.jsonl", "ab") as journal,
        open(tmp_path / "out/unfinished/images.npy", "ab") as pixels,
    ):
        journal.write(b'[null, ["enla')
        pixels.write(bytes(5000))
    counted.stop_after = -1
    assert same(quietly(*zoo, out=tmp_path / "out"), quietly(*zoo))
    assert names[:12] == list(dict.fromkeys(names))


def test_other_arguments_start_over_with_a_warning(zoo, tmp_path, reads):
    names, counted = reads
    counted.stop_after = 6
    with pytest.raises(KeyboardInterrupt):
        quietly(*zoo, out=tmp_path / "out")
    counted.stop_after = -1
    with pytest.warns(UserWarning, match="size 32 -> 16.*starting over"):  # an unfinished one
        assert same(quietly(*zoo, out=tmp_path / "out", size=16), quietly(*zoo, size=16))
    with pytest.warns(UserWarning, match="limit None -> 3.*starting over"):  # a finished one
        assert same(
            quietly(*zoo, out=tmp_path / "out", limit=3, size=16), quietly(*zoo, size=16)[:3]
        )
    zoo[1].write_text(zoo[1].read_text().replace("caption 0", "caption zero"))
    with pytest.warns(UserWarning, match="another captions file"):
        assert (
            quietly(*zoo, out=tmp_path / "out", limit=3, size=16).captions[0][0]
            == "plain.png, caption zero"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quietly(*zoo, out=tmp_path / "out", limit=3, size=16)


def test_packing_does_not_overwrite_a_set_of_other_origin(zoo, tmp_path):
    some().save(tmp_path / "out")
    with pytest.raises(
        ValueError, match="not packed from a folder of photos; choose another folder"
    ):
        quietly(*zoo, out=tmp_path / "out")
    quietly(*zoo)[:3].save(tmp_path / "part")
    with pytest.raises(ValueError, match="choose another folder"):
        quietly(*zoo, out=tmp_path / "part")
    assert same(load(tmp_path / "out"), some())


def test_a_full_disk_keeps_what_was_packed(zoo, tmp_path, reads, monkeypatch):
    real, calls = folders.to_disk, []

    def full(file):
        calls.append(file)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    monkeypatch.setattr(folders, "FLUSH", 2)
    monkeypatch.setattr(folders, "to_disk", full)
    with pytest.raises(OSError, match="is full; make room"):
        quietly(*zoo, out=tmp_path / "out")
    monkeypatch.setattr(folders, "to_disk", real)
    before = len(reads[0])
    packed = quietly(*zoo, out=tmp_path / "out")
    assert before == 10 and reads[0][before:] == [
        "turned.jpg",
        "small.png",
        "thin.png",
        "empty.jpg",
    ]
    assert same(packed, quietly(*zoo))


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full"
)
def test_a_truly_full_disk_is_told_in_a_sentence(zoo, tmp_path, monkeypatch):
    real = folders.Unfinished.__enter__

    def on_full_disk(work):
        real(work).rows.close()
        work.rows = open("/dev/full", "ab")
        return work

    monkeypatch.setattr(folders.Unfinished, "__enter__", on_full_disk)
    with pytest.raises(OSError, match="is full; make room"):
        quietly(*zoo, out=tmp_path / "out")
    monkeypatch.undo()
    assert same(quietly(*zoo, out=tmp_path / "out"), quietly(*zoo))


SLOWLY = """
import sys, time
from miniclip.data import folders, picturebook
folders.FLUSH, real = 4, folders.square
def slow(path, size):
    time.sleep(0.01)
    return real(path, size)
folders.square = slow
folders.pack(*sys.argv[1:], size=32, progress=False)
"""


@pytest.mark.slow
def test_a_killed_pack_goes_on(tmp_path, reads):
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(200):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / "photos" / f"{i}.png"
        )
    for i in range(0, 200, 7):
        _cut(tmp_path / "photos" / f"{i}.png", 1000)
    file = write_captions(
        tmp_path / "c.json",
        [(i, f"{i}.png") for i in range(200)],
        [(i, f"picture {i}") for i in range(200)],
    )
    journal = tmp_path / "out/unfinished/journal.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, tmp_path / "photos", file, tmp_path / "out"], env=environment
    )
    deadline = time.monotonic() + 40
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and not (journal.exists() and journal.read_bytes().count(b"\n") > 40)
    ):
        time.sleep(0.01)
    process.kill()  # SIGKILL
    process.wait()
    done = journal.read_bytes().count(b"\n") - 1
    assert 40 <= done < 200
    packed = pack(tmp_path / "photos", file, tmp_path / "out", size=32, progress=False)
    assert len(reads[0]) == 200 - done and reads[0][0] == f"{done}.png"
    read = quietly(tmp_path / "photos", file)
    assert same(packed, read) and packed.report == read.report and len(packed) == 171


# ---- real photos


@needs_photos
@pytest.mark.parametrize("size", [64, 128])
def test_real_photos_look_as_torchvision_resizes_them(size):
    from torchvision.transforms import v2

    place = REAL / "coco/val2017"
    data = folder(place, REAL / "coco/annotations/captions_val2017.json", size, progress=False)
    assert (
        len(data) == data.report.kept == 228
        and not data.report.skipped
        and sum(map(len, data.captions)) == 5 * 228
    )
    standard = v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])
    far = []
    for pixels, name in zip(data.images[::4], data.facts["file_name"][::4]):
        expected = np.asarray(standard(Image.open(place / name).convert("RGB"))).astype(int)
        far.append(np.abs(pixels - expected).mean())  # of 255
    assert np.mean(far) < 1.6 and max(far) < 7, (
        np.mean(far),
        max(far),
    )  # larger where a JPEG is decoded at half its size, for speed


@needs_photos
def test_a_captions_file_may_name_many_photos_that_are_not_there(tmp_path):
    some_photos = tmp_path / "photos"
    some_photos.mkdir()
    for path in sorted((REAL / "coco/val2017").iterdir())[:40]:
        shutil.copy(path, some_photos)
    data = folder(
        some_photos,
        REAL / "coco/annotations/captions_val2017_full.json",
        size=64,
        out=tmp_path / "out",
        progress=False,
    )
    assert len(data) == 40 and len(data.report.skipped["missing file"]) == 4960
    assert {len(texts) for texts in data.captions} <= {5, 6, 7} and data.facts["flickr_url"][
        0
    ].startswith("http")
    assert data.info["description"] == "COCO 2017 Dataset" and len(data.info["licenses"]) == 8
    images, captions, _ = read_captions(REAL / "coco/annotations/captions_val2017_full.json")
    assert len(images) == 5000 and sum(map(len, captions.values())) == 25014


def test_two_sets_can_be_joined():
    one, other = (picturebook(3, seed=seed, size=32) for seed in (1, 2))
    both = one + other
    assert (
        len(both) == 6
        and both.captions == one.captions + other.captions
        and both.ids.tolist() == list(range(6))
    )
    assert (both.images[3:] == other.images).all() and both.facts["object"].tolist() == [
        *one.facts["object"],
        *other.facts["object"],
    ]
    assert (
        both.info["licence"] == one.info["licence"] and "name" not in both.info
    )  # two seeds, two names
    bare = CaptionedImages(other.images, other.captions)
    assert (one + bare).facts == {}
    with pytest.raises(ValueError, match="only sets of one picture size can be joined"):
        one + picturebook(3, size=48)
    with pytest.raises(ValueError, match="only sets of one picture size can be joined.*list"):
        one + [1]
