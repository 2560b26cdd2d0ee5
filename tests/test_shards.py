"""Promises of streamed shards: every good picture comes, once a round, shared out among processes
and workers; what is broken is counted."""

import json

import pytest
import torch
from archives import png, write_tar
from typer.testing import CliRunner

import miniclip
from miniclip import CLIPConfig, Recipe, checkpoint
from miniclip.data import Shards, picturebook
from miniclip.tools.cli import app
from miniclip.training.batches import StreamedBatches

SMALL = CLIPConfig(
    image_size=32,
    vision_width=32,
    vision_layers=1,
    text_width=32,
    text_layers=1,
    embed_dim=32,
    vocab_size=600,
)
RECIPE = Recipe(batch_size=16)


@pytest.fixture(scope="module")
def data():
    return picturebook(72, seed=4, size=40)


@pytest.fixture
def folder(tmp_path, data):
    """Three shards of 24 pictures: the first as .txt, the others as .json with all captions, the
    last with img2dataset's count beside it."""
    for shard in range(3):
        members = []
        for row in range(24 * shard, 24 * shard + 24):
            pixels, captions = data[row]
            members.append((f"{row:06}.png", png(pixels)))
            members.append(
                (f"{row:06}.txt", captions[0].encode())
                if shard == 0
                else (f"{row:06}.json", json.dumps({"caption": captions}).encode())
            )
        write_tar(tmp_path / f"{shard:05}.tar", members)
    (tmp_path / "00002_stats.json").write_text(json.dumps({"successes": 24}))
    return tmp_path


def some(stream, n):
    return [next(stream) for _ in range(n)]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_picture_comes_once_a_round(folder, data, workers):
    shards = Shards(folder, size=40, buffer=10, workers=workers)
    assert len(shards) == 72 and shards.captions == [[texts[0]] for texts in data.captions[:24]]
    seen = [pixels.tobytes() for pixels, _ in shards._stream(shards.paths, workers)]
    assert sorted(seen) == sorted(pixels.tobytes() for pixels in data.images)
    assert shards.take(30).captions[29] == data.captions[29]


def test_pictures_keep_their_captions_in_a_shuffled_stream(folder, data):
    own = {pixels.tobytes(): set(texts) for pixels, texts in data}
    drawn = some(Shards(folder, size=40, buffer=10, workers=0).shuffled("0", (0, 1)), 200)
    assert all(set(texts) <= own[pixels.tobytes()] for pixels, texts in drawn)
    order = [pixels.tobytes() for pixels, _ in drawn[:60]]
    assert order != [pixels.tobytes() for pixels in data.images[:60]] and len(set(order)) == 60
    again = some(Shards(folder, size=40, buffer=10, workers=0).shuffled("0", (0, 1)), 60)
    assert order == [pixels.tobytes() for pixels, _ in again]


def test_processes_share_the_shards_out(folder, data):
    parts = [
        some(Shards(folder, size=40, buffer=1, workers=0).shuffled("0", (rank, 3)), 23)
        for rank in range(3)
    ]
    seen = [pixels.tobytes() for part in parts for pixels, _ in part]
    assert len(set(seen)) == 69
    with pytest.raises(ValueError, match="4 processes need as many shards, there are 3"):
        StreamedBatches(
            Shards(folder, size=40, workers=0), None, SMALL, RECIPE, torch.device("cpu"), (0, 4)
        )


def test_a_buffer_larger_than_the_data_is_no_trap(folder):
    assert (
        len(some(Shards(folder, size=40, buffer=1000, workers=0).shuffled("0", (0, 1)), 150)) == 150
    )


def test_what_is_broken_is_left_out_and_counted(tmp_path, data):
    good = png(data.images[0])
    write_tar(
        tmp_path / "a.tar",
        [
            ("1.png", good),
            ("1.txt", b"a good one"),
            ("2.png", good[:200]),
            ("2.txt", b"cut off"),
            ("3.txt", b"no picture"),
            ("4.png", good),
            ("5.png", good),
            ("5.json", b"{not json"),
            ("6.png", good),
            ("6.txt", b"   "),
        ],
    )
    whole = tmp_path / "whole.tar"
    write_tar(
        whole,
        [
            (f"{row}.{ending}", content)
            for row in range(10, 20)
            for ending, content in (("png", png(data.images[row])), ("txt", b"fine"))
        ],
    )
    (tmp_path / "b.tar").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    shards = Shards(tmp_path, size=40, workers=0)
    kept = len(list(shards._stream(shards.paths, 0)))
    assert 1 + 1 <= kept < 11  # the one good picture of a, and those of b before it was cut off
    skipped = {
        reason: len(names)
        for reason, names in Shards(tmp_path, size=40, workers=0).report.skipped.items()
    }
    assert (
        skipped["no caption"] == 2
        and skipped["no picture"] == 1
        and sum("broken image" in reason for reason in skipped) == 1
    )
    assert sum("broken caption" in reason for reason in skipped) == 1
    assert any("broken shard" in reason for reason in shards.report.skipped), str(shards.report)


def test_the_same_train_learns_from_a_stream_and_takes_it_up_again(folder, tmp_path, monkeypatch):
    out, options = (
        tmp_path / "streamed.safetensors",
        {"seen": 480, "recipe": RECIPE, "device": "cpu", "progress": False},
    )
    shards = Shards(folder, size=32, buffer=20, workers=0)
    _, history = miniclip.train(shards, SMALL, **options)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    real = StreamedBatches.__call__

    def fail_at_step_7(self, step):
        if step == 7:
            raise RuntimeError("the plug was pulled")
        return real(self, step)

    monkeypatch.setattr(StreamedBatches, "__call__", fail_at_step_7)
    with pytest.raises(RuntimeError, match="the plug was pulled"):
        miniclip.train(shards, SMALL, out=out, save_every=0, **options)
    assert checkpoint.read(out)[1]["step"] == 7
    monkeypatch.setattr(StreamedBatches, "__call__", real)
    _, resumed = miniclip.train(shards, SMALL, out=out, resume=True, **options)
    assert checkpoint.read(out)[1]["step"] == 30 and resumed.rows[-1]["seen"] == 480


@pytest.mark.slow
def test_the_command_line_trains_on_shards_and_tests_on_the_first(folder, tmp_path):
    out = tmp_path / "my.safetensors"
    options = ["--seen", "64", "--batch-size", "16", "--out", str(out), "--device", "cpu"]
    command = ["train", "--shards", str(folder), *options, "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["scores"]["pictures"] == 24 and out.exists()
    both = CliRunner().invoke(app, [*command, "--images", str(folder)])
    assert isinstance(both.exception, ValueError) and "choose one" in str(both.exception)


def test_a_first_shard_without_pictures_is_passed_over(folder):
    write_tar(folder / "00000.tar", [("1.txt", b"only words")])
    shards = Shards(folder, size=40, workers=0)
    assert len(shards.captions) == 24 and "no picture" in str(shards.report)


def test_what_is_not_there_is_told(tmp_path, folder):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="there is no shard in"):
        Shards(tmp_path / "nothing")
    with pytest.raises(
        FileNotFoundError, match="1 of 4 shards are not there, the first is .*00003.tar"
    ):
        Shards(str(folder / "{00000..00003}.tar"))
    write_tar(tmp_path / "nothing" / "empty.tar", [("1.txt", b"only words")])
    with pytest.raises(ValueError, match="holds no picture with a caption that could be read"):
        Shards(tmp_path / "nothing")
