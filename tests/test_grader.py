"""Promises of the grader: it survives whatever is handed in, and nobody gets points for nothing."""

import copy
import csv
import inspect
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import miniclip
from miniclip import CLIPConfig, Scene, Thing
from miniclip.course import grading
from miniclip.course.checks import CHECKS, cases, judge
from miniclip.course.grading import grade, student_version
from miniclip.course.grading.session import Ended, Session, copy_package, isolation
from miniclip.course.grading.values import (
    CannotCross,
    from_bytes,
    put_together,
    take_apart,
    to_bytes,
)
from miniclip.course.speed_run import SpeedRun

pytestmark = [
    pytest.mark.slow,
    # What a forged message makes PyTorch say.
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),
]
ROOT = Path(__file__).parents[1]
SMALLEST = CLIPConfig(
    image_size=32,
    vision_width=64,
    vision_layers=1,
    text_width=64,
    text_layers=1,
    embed_dim=32,
    vocab_size=300,
)


def cell(source, grade_id="", points=None, **options):
    """A cell of the original: with points a check, with a name alone one to be written."""
    made = new_code_cell(source)
    if options:
        made.metadata["miniclip"] = options
    if grade_id:
        made.metadata["nbgrader"] = {
            "grade": points is not None,
            "solution": points is None,
            "locked": points is not None,
            "grade_id": grade_id,
            "schema_version": 3,
            "task": False,
            **({"points": points} if points else {}),
        }
    return made


WRITTEN = new_markdown_cell(
    "because",
    metadata={
        "nbgrader": {
            "grade": True,
            "solution": True,
            "locked": False,
            "grade_id": "words",
            "schema_version": 3,
            "task": False,
            "points": 1,
        }
    },
)
COSINES = """def cosines(images, texts):
    ### BEGIN SOLUTION
    images, texts = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))
    return images @ texts.T
    ### END SOLUTION"""
NCE = """def info_nce(images, texts, temperature):
    ### BEGIN SOLUTION
    logits = cosines(images, texts) / temperature
    return -(logits.log_softmax(1).diag().mean() + logits.log_softmax(0).diag().mean()) / 2
    ### END SOLUTION"""
SECRET = "### BEGIN SOLUTION\nsecret = 42\n### END SOLUTION"
BEST = "### BEGIN SOLUTION\nbest = 3\nclaimed = measure(best)\n### END SOLUTION"
SMALL = new_notebook(
    cells=[
        cell("import torch\nfrom miniclip import check\nopen('scratch.txt', 'w').write('x')"),
        cell(COSINES, "code", forbidden=["cosine_similarity"]),
        cell("assert check('hw1.cosines', cosines)", "cosines", 3),
        cell(NCE, "loss", forbidden=["info_nce"]),
        cell("assert check('hw1.info_nce', info_nce)", "nce", 4),
        cell(SECRET, "more"),
        cell(
            "assert secret != 3\n### BEGIN HIDDEN TESTS\n"
            "assert secret == 42, 'another number was hidden'\n### END HIDDEN TESTS",
            "secret",
            2,
        ),
        cell("def measure(x):\n    return -(x - 3) ** 2"),
        cell(BEST, "choice"),
        cell("assert claimed == measure(best), 'that is not its score'", "honest", 1),
        cell("assert measure(best) == 0, 'another is better'", "best", 2),
        cell("# with a loss of the student's\nx = torch.ones(2, 3, requires_grad=True)"),
        cell(
            "loss = info_nce(x * 2, torch.eye(2, 3), 1.0)\nloss.backward()\n"
            "assert x.grad.abs().sum() > 0, 'no gradient comes back'",
            "slope",
            1,
        ),
        WRITTEN,
    ]
)
ALL = {"cosines": 3, "nce": 4, "secret": 2, "honest": 1, "best": 2, "slope": 1}
CELLS = {"code": 1, "loss": 3, "more": 5, "choice": 8}


def submission(**changes):
    """The solved assignment with some of the cells that were to be written changed."""
    notebook = copy.deepcopy(student_version(SMALL))
    for name, number in CELLS.items():
        notebook.cells[number].source = changes.get(name, SMALL.cells[number].source)
    return notebook


@pytest.fixture(scope="module")
def limit():
    """Seconds for a whole submission in these tests, once its process is there. Half of it may go
    into one endless cell; the rest has to be enough for the others, which take milliseconds."""
    return 14.0


def hand_in(place, notebooks):
    """A folder with the small assignment's solution, and one with what was handed in."""
    (place / "solutions").mkdir()
    nbformat.write(SMALL, place / "solutions" / "small.ipynb")
    for name, notebook in notebooks.items():
        (place / "handed in" / name).mkdir(parents=True)
        nbformat.write(notebook, place / "handed in" / name / "small.ipynb")


def graded_by_name(place, limit, **options):
    grades = grade(
        place / "handed in",
        place / "grades.csv",
        timeout=limit,
        solutions=place / "solutions",
        progress=False,
        **options,
    )
    return {one.name: one for one in grades}


# What goes wrong without malice.


@pytest.fixture(scope="module")
def graded(tmp_path_factory, limit):
    place = tmp_path_factory.mktemp("class")
    good = submission()  # although cells that are not the student's are gone or others
    del good.cells[2], good.cells[0]
    good.cells.insert(1, new_code_cell("1 / 0"))
    by_itself = NCE.replace("cosines(images, texts) / temp", "images @ texts.T / temp")
    lengths = "    images, texts = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))\n"
    by_itself = by_itself.replace("    logits =", f"{lengths}    logits =")
    # Several mistakes each, since a process takes seconds to start.
    hand_in(
        place,
        {
            "good": good,
            "bad": submission(
                code="def cosines(images, texts):\n    return images @ texts.T", more="secret = 41"
            ),
            "empty": student_version(SMALL),
            "looping": submission(code=f"{COSINES}\nwhile True:\n    pass"),
            "leaving, asking, crashing": submission(
                code=f"{COSINES}\nimport sys\nsys.exit()",
                more="secret = 42\ninput('name?')",
                choice="import os\nos._exit(3)",
            ),
            "slow, then bad syntax": submission(
                code="def cosines(images, texts):\n    while True:\n        pass",
                loss=by_itself,
                more="secret = = 42",
                # Sixteen gigabytes: asked for, and never touched.
                choice=f"{BEST}\nblock = bytearray(16 * 10**9)",
            ),
            "other": new_notebook(cells=[new_code_cell("1 + 1")]),
        },
    )
    (place / "handed in" / "broken.ipynb").write_text('{"cells": [', encoding="utf-8")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a job in the background
    try:
        return graded_by_name(place, limit), place
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "name, lost, words",
    [
        ("good", "", ""),
        ("bad", "cosines nce secret", "Lengths have to go before the product"),
        ("bad", "cosines nce secret", "another number was hidden"),
        ("empty", "cosines nce secret honest best slope", "not written yet"),
        ("looping", "", "was stopped after"),
        ("leaving, asking, crashing", "honest best slope", "SystemExit"),
        ("leaving, asking, crashing", "honest best slope", "EOFError"),
        ("leaving, asking, crashing", "honest best slope", "its process ended, in cell 9"),
        ("slow, then bad syntax", "cosines secret", "had not answered after 10 seconds"),
        ("slow, then bad syntax", "cosines secret", "SyntaxError"),
        pytest.param(
            *("slow, then bad syntax", "cosines secret", "MemoryError"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the limit"),
        ),
    ],
)
def test_a_submission_gets_its_points_and_a_sentence(graded, name, lost, words):
    found = graded[0][name]
    points = {check: 0 if check in lost.split() else value for check, value in ALL.items()}
    assert (found.assignment, found.points, found.of, found.to_read) == ("small", points, 13, 1)
    assert words in " | ".join(found.wrong) and (words or not found.wrong), found.wrong


def test_an_endless_cell_gets_half_of_the_time(graded, limit):
    said = f"was stopped after {int(limit / 2)} seconds"
    assert any(said in sentence for sentence in graded[0]["looping"].wrong)


def test_what_is_no_submission_is_told(graded):
    assert (
        "cannot be read as a notebook" in graded[0]["broken"].wrong[0]
        and "no cell of any assignment (small)" in graded[0]["other"].wrong[0]
    )


def test_the_table_has_a_row_for_everyone(graded):
    with open(graded[1] / "grades.csv", newline="", encoding="utf-8") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    assert table.keys() == graded[0].keys() and len(table) == 8
    assert (
        table["good"]["total"] == "13.0"
        and table["bad"]["cosines"] == "0.0"
        and table["broken"]["cosines"] == ""
        and "Lengths" in table["bad"]["what went wrong"]
    )


def test_the_leaderboard_has_the_best_first_and_nobody_without_an_entry(graded, tmp_path):
    runs = {"anna": 0.51, "bert": None, "chris": 0.68}
    grades = [
        grading.Grade(
            name, record=found and SpeedRun(found, (found - 0.03, found + 0.03), 25_000, 24e6, 15)
        )
        for name, found in runs.items()
    ]
    grading.write_leaderboard(grades, tmp_path / "leaderboard.csv")
    with open(tmp_path / "leaderboard.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["place"], row["name"]) for row in rows] == [("1", "chris"), ("2", "anna")]
    assert rows[0]["low"] == "0.6500" and rows[0]["operations each"] == "24000000"
    assert not (graded[1] / "leaderboard.csv").exists()  # nobody there has an entry


def test_nothing_is_left_beside_the_submissions(graded):
    assert not list(graded[1].rglob("scratch.txt")) and not Path("scratch.txt").exists()


def test_no_submission_and_an_endless_solution_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no submissions"):
        grade(tmp_path)
    with pytest.raises(ValueError, match="BEGIN SOLUTION and none with END SOLUTION"):
        student_version(new_notebook(cells=[cell("### BEGIN SOLUTION\n1", "code")]))


# Malice.

PATCHES = """import miniclip, torch, builtins
import miniclip.course.checks as checks
check = checks.check = checks.judge = miniclip.check = lambda *a, **k: True
torch.allclose = torch.equal = lambda *a, **k: True
builtins.AssertionError = Warning
cosines = 3"""
STOLEN = """from pathlib import Path
import miniclip
try:
    from miniclip.course.checks.hw1 import HW1
    cosines = HW1["hw1.cosines"].right
except ImportError:
    for path in Path(miniclip.__file__).parents[1].rglob("*.ipynb"):
        exec(path.read_text().partition("BEGIN SOLUTION")[2])"""
FRAMES = """import gc, sys
frame = sys._getframe()
while frame:
    frame.f_globals["check"] = frame.f_globals["judge"] = lambda *a, **k: True
    frame = frame.f_back
for module in list(sys.modules.values()):
    if hasattr(module, "check"):
        module.check = lambda *a, **k: True
for thing in gc.get_objects():
    if type(thing) is dict and "passed" in thing:
        thing["passed"] = ["cosines", "nce"]"""
LIES = """import gc
student = next(one for one in gc.get_objects() if type(one).__name__ == "Student")
honest = type(student)._values
def lies(self, names):
    answer = honest(self, names)
    number = self._keep(lambda *a: True)
    yes = {"kind": "function", "of": number, "name": "check", "parameters": None}
    answer["values"] |= {"check": yes, "measure": yes}
    return answer
type(student)._values = lies"""
ALWAYS = """class Always(int):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __ne__ = __lt__ = __gt__ = lambda self, other: False
    __hash__ = int.__hash__
secret = Always(7)"""
LOOKUP = """import torch
KNOWN = {}
def cosines(images, texts):
    seed = {(3, 4): 0, (5, 5): 0}.get((len(images), len(texts)))
    if seed is None:
        images, texts = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))
        return images @ texts.T
    import zlib
    make = lambda n, e, s: torch.randn(
        n, e, generator=torch.Generator().manual_seed(zlib.crc32(repr(((n, e), s)).encode())))
    images = 2 * make(*images.shape, seed)
    texts = 3 * make(*texts.shape, seed + 1)
    images, texts = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))
    return images @ texts.T"""
FORGED = """import fcntl, os, pickle, stat, struct
class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/miniclip-pwned",)
data = pickle.dumps(["ok", Evil()])
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
        if pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            os.write(fd, struct.pack("<Q", len(data)) + data)
    except OSError:
        pass"""
FAKED = """import torch
class Faked(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return super().__torch_function__(function, types, args, kwargs or {})
def cosines(images, texts):
    return torch.zeros(len(images), len(texts)).as_subclass(Faked)"""
AGREES = """class Agrees:
    def __eq__(self, other): return True
    def __array__(self, *a, **k): raise TypeError
def info_nce(images, texts, temperature):
    return Agrees()"""
CHEATS = {  # what is written in which cell -> the checks that it must not pass
    "destroys": (
        {
            "code": COSINES + "\nfor _ in range(1000):\n    print('x' * 1_000_000)",
            "more": "import subprocess\nsubprocess.Popen(['sleep', '98765.4'])\nimport os\n"
            "if os.fork() == 0:\n    os.execvp('sleep', ['sleep', '98765.4'])\nsecret = 1",
            "choice": "import miniclip, pathlib\nfor path in pathlib.Path(miniclip.__file__)"
            ".parent.rglob('*.py'):\n    path.write_text('broken = ')\nbest, claimed = 3, 1",
        },
        "secret honest",
    ),
    "fakes": (
        {"code": FAKED, "more": "secret = type('X', (), {'__eq__': all})()"},
        "cosines nce secret slope",
    ),
    "forges": ({"code": f"{COSINES}\n{FORGED}"}, "cosines nce secret honest best slope"),
    "knows": (
        {
            "code": LOOKUP,
            "loss": "import miniclip\nnames = 'info', 'nce'\n"
            "def info_nce(images, texts, temperature):\n"
            "    i, t = (x / x.norm(dim=1, keepdim=True) for x in (images, texts))\n"
            "    return getattr(miniclip, '_'.join(names))(i, t, 1 / temperature)",
            "more": "import os\nsecret = int(os.environ.get('SECRET', 0)) or [42]",
        },
        "cosines nce secret slope",
    ),
    "patches": (
        {
            "code": f"{LIES}\n{PATCHES}",
            "loss": AGREES,
            "more": ALWAYS,
            "choice": f"{FRAMES}\n{LIES}\nmeasure = abs\nbest = claimed = 0",
        },
        "cosines secret best honest nce slope",
    ),
    "steals": (
        {
            "code": STOLEN,
            "loss": "from miniclip.loss import *\n" + NCE,
            "more": "secret = check.__closure__",
            "choice": "best, claimed = 5, 0",
        },
        "cosines nce secret honest best slope",
    ),
}


@pytest.fixture(scope="module")
def caught(tmp_path_factory, limit):
    place = tmp_path_factory.mktemp("cheats")
    hand_in(
        place,
        {name: submission(**changes) for name, (changes, _) in CHEATS.items()},
    )
    return graded_by_name(place, limit)


@pytest.mark.parametrize("name", CHEATS)
def test_nobody_gets_points_for_nothing(caught, name):
    """And the copy of the package is whole again after one that destroys it."""
    lost = CHEATS[name][1].split()
    expected = {check: 0 if check in lost else value for check, value in ALL.items()}
    assert caught[name].points == expected, caught[name].wrong
    assert bool(caught[name].wrong) == bool(lost)


def test_nothing_is_left_of_what_they_started(caught):
    assert not Path("/tmp/miniclip-pwned").exists()
    if Path("/proc").is_dir():
        running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert not any(b"98765.4" in command for command in running)


def test_a_changed_solution_ends_the_grading(tmp_path, limit):
    path = tmp_path / "solutions" / "small.ipynb"
    hand_in(tmp_path, {"vandal": submission(more=f"open({str(path)!r}, 'w').write('mine')")})
    with pytest.raises(RuntimeError, match="while vandal was graded, files of the package or of"):
        graded_by_name(tmp_path, limit)
    assert "vandal,small," in (tmp_path / "grades.csv").read_text()  # what was done is kept


@pytest.mark.parametrize(
    "source, found",
    [
        ("from miniclip import info_nce as mine", "info_nce"),
        ("import miniclip.loss.info_nce", "info_nce"),
        ("miniclip.info_nce(a, b, c)", "info_nce"),
        ("getattr(miniclip, 'info_nce')", "info_nce"),
        ("from miniclip.loss import *", "import *"),
        ("%time miniclip.info_nce(a, b, c)", ""),
        ("%%time\nminiclip.info_nce(a, b, c)", "info_nce"),
        ("def info_nce(a, b, c):\n    'The loss info_nce.'\n    return info_nce", ""),
        ("this is no program", ""),
    ],
)
def test_forbidden_names_are_found_where_they_are_taken(source, found):
    """One's own function may have such a name. (In a string of code it is not found; the package's
    function raises an error there.)"""
    assert grading._uses(source, ["info_nce"]) == found and grading._uses(source, []) == ""


def test_who_is_isolated_sees_no_solution_and_writes_nowhere(tmp_path, limit):
    """Points for the work all the same, and none for what lies on the disk."""
    path = tmp_path / "solutions" / "small.ipynb"
    look = (
        "from pathlib import Path\nimport socket\n"
        f"found = Path({str(path)!r}).exists() or list(Path({str(ROOT)!r}).rglob('hw1.py'))\n"
        "try:\n    socket.create_connection(('1.1.1.1', 53), 1)\n"
        "except OSError:\n    reached = False\nelse:\n    reached = True\n"
        f"try:\n    Path({str(tmp_path / 'mark')!r}).write_text('x')\n"
        "except OSError:\n    pass\n"  # if not, it is in a folder that nobody else sees
        "secret = 1 if found or reached else 42"
    )
    loops = f"{BEST}\nwhile True:\n    pass"
    hand_in(tmp_path, {"curious": submission(more=look, choice=loops)})
    try:
        found = graded_by_name(tmp_path, limit, isolate=True)["curious"]
    except OSError as error:
        assert "cannot be isolated here" in str(error) and "bubblewrap" in str(error)
        pytest.skip(str(error))
    assert found.points == ALL and "was stopped after" in found.wrong[0]
    assert not (tmp_path / "mark").exists()


def test_python_may_lie_in_a_hidden_folder(tmp_path, monkeypatch):
    """As in a virtual environment in /tmp, or beside submissions; solutions in it are hidden."""
    for name in ("python/lib/miniclip/solution", "python/lib/module", "submission", "work/own"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    hidden = [tmp_path / "python/lib/miniclip", tmp_path]
    try:
        command = isolation(tmp_path / "work", Path(__file__).parent, hidden)
    except OSError as error:
        pytest.skip(str(error))
    looked = subprocess.run([*command, "find", tmp_path, "-type", "f"], capture_output=True)
    seen = {str(Path(name).relative_to(tmp_path)) for name in looked.stdout.decode().split()}
    assert seen == {"python/lib/module", "work/own"}


def test_functions_of_a_student_can_be_used_from_here(tmp_path):
    """With their signature, with functions as arguments that call back, and with gradients; what
    they do to their arguments shows in checks alone."""
    source = """
def spoil(x, power=2):
    x[0] = 7
    return x ** power

def through(f, x):
    return f(f(x)) + 1

def inner(x):
    return 10 * x

def wrong(x):
    return undefined
"""
    with Session(copy_package(tmp_path), 60) as session:
        session.run(source)
        found, problems = session.values(["spoil", "through", "inner", "wrong", "nothing"])
        assert found.keys() == {"spoil", "through", "inner", "wrong"} and not problems
        spoil, x = found["spoil"], np.array([1.0, 2.0])
        assert str(inspect.signature(spoil)) == "(x, power=None)"
        assert spoil(x, power=3).tolist() == [343, 8] and x.tolist() == [1, 2]
        assert spoil.try_out(x).tolist() == [49, 4] and x.tolist() == [7, 2]
        assert found["through"](lambda value: found["inner"](value) - 1, 2) == 190
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        session.run("def loss(x, scale):\n    return scale * (x ** 2).sum()")
        (5 * session.values(["loss"])[0]["loss"](x, 3.0)).backward()
        assert x.grad.tolist() == [30, 60]
        with pytest.raises(Exception, match="name 'undefined' is not defined, in the line `return"):
            found["wrong"](1)
        with pytest.raises(Ended, match="its process ended"):
            session.run("import os; os._exit(0)")
        with pytest.raises(Ended):
            spoil(np.ones(2))


@pytest.mark.parametrize(
    "value",
    [
        None,
        -3,
        0.5,
        "word",
        (1, [2.0, {"a": {3}}]),
        {1: "one", "two": 2},
        np.arange(6).reshape(2, 3),
        np.array(["a", "b"]),
        np.array(3.5),
        torch.ones(2, 2, dtype=torch.bool),
        Scene("beach", [Thing("dog", color="red", at=(0.3, 0.7), size=0.5)]),
    ],
    ids=repr,
)
def test_values_cross_unchanged(value):
    again = put_together(from_bytes(to_bytes(take_apart(value))))
    assert type(again) is type(value) and repr(again) == repr(value)


def test_pictures_and_models_cross_and_other_things_do_not():
    data = miniclip.data.picturebook(3, 1, 32)
    again = put_together(from_bytes(to_bytes(take_apart(data))))
    assert (again.images == data.images).all() and again.captions == data.captions
    assert (again.facts["object"] == data.facts["object"]).all()
    model = miniclip.checkpoint.new(["a dog", "a cat"], SMALLEST)
    other = put_together(from_bytes(to_bytes(take_apart(model))))
    assert other.config == model.config
    assert torch.equal(other.encode_text(["a dog"]), model.encode_text(["a dog"]))
    for wrong in (object(), open, torch.optim.SGD(model.parameters(), lr=1)):
        with pytest.raises(CannotCross, match="cannot be handed over"):
            take_apart(wrong)
    for forged in ({"kind": "function", "of": 0}, {"kind": "eval", "of": "1"}, [1], {"of": 1}):
        with pytest.raises(CannotCross):
            put_together(forged)


def test_right_functions_pass_whatever_the_hidden_inputs_are():
    """Every check takes its own right function, and the grader's inputs are others each time."""
    seen = set()
    try:
        for cases.SECRET in (0, *range(1, 12)):
            for name, task in CHECKS.items():
                if task.right:
                    assert judge(name, task.right).right, (name, cases.SECRET)
            seen.add(float(cases.random_numbers(1)))
    finally:
        cases.SECRET = 0
    assert len(seen) == 12
