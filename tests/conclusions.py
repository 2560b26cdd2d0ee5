"""What the prose of the notebooks concludes from its outputs, sentence by sentence.

A tolerance on numbers must not hide a conclusion that has turned, so each is asked of the
outputs: of the saved ones by `test_notebooks.py`, of today's when pytest runs the notebook.
"""

from __future__ import annotations

import re


class Outputs:
    """The outputs of a notebook's code cells, to be asked for the numbers in them."""

    def __init__(self, cells):
        """`cells`: lists of outputs (nbformat) by the number of the code cell."""
        self.texts = {number: "\n".join(map(_text, outputs)) for number, outputs in cells.items()}
        self.asked = []

    def text(self, cell: int) -> str:
        """All that a person can read under a code cell, alternative texts of its figures
        included."""
        return self.texts[cell]

    def __call__(self, cell: int, words: str, nth: int = 0) -> float:
        """The number that follows some words under a code cell.

        Args:
            cell: number of the code cell, from 0.
            words: a regular expression for what stands before it.
            nth: 0 for the first number after them, 1 for the second.
        Raises:
            LookupError: if there are no such words or not so many numbers.
        """
        found = re.search(words, self.texts[cell])
        if found is None:
            raise LookupError(f"code cell {cell} does not say {words!r}")
        numbers = re.findall(
            r"-?\d[\d,]*(?:\.\d+)?", self.texts[cell][found.end() :].partition("\n")[0]
        )
        if len(numbers) <= nth:
            raise LookupError(f"code cell {cell} has no {nth + 1} numbers after {words!r}")
        value = float(numbers[nth].replace(",", ""))
        self.asked.append((f"cell {cell}", words, value))
        return value

    def low(self, cell: int, words: str) -> float:
        """The lower end of the 95 % interval behind a share, in percent."""
        return self(cell, words, 1)

    def high(self, cell: int, words: str) -> float:
        """The upper end of that interval."""
        return self(cell, words, 2)


def _text(output) -> str:
    page = output.get("data", {}).get("text/html", "")
    return output.get("text", "") + "\n".join(re.findall(r'alt="([^"]*)"', page))


CONCLUSIONS = {
    "01-contrastive-loss": {
        "all vectors have length 1": lambda o: set(re.findall(r"\d\.\d", o.text(4))) == {"1.0"},
        "positives are on the diagonal": lambda o: (
            o(6, "mean on the diagonal:") > 3 * o(6, "mean off the diagonal:")
        ),
        "of photographs, too, and less clearly": lambda o: (
            o(6, "mean on the diagonal:")
            > o(8, "mean on the diagonal")
            > o(8, "mean on the diagonal", 1) + 0.1
        ),
        "before training they are not": lambda o: o(9, "by 6 texts;") <= 3,
        "by hand is what PyTorch computes": lambda o: o(11, "by hand:") == o(11, "cross_entropy:"),
        "right in every row, and still wrong for the captions": lambda o: (
            o(12, "pictures choose texts:") < o(12, "a guesser:") < o(12, "texts choose pictures:")
        ),
        "by hand is what the package computes": lambda o: o(13, "ours") == o(13, "info_nce"),
        "at a low temperature the hardest negative gets most of the push": lambda o: (
            o(17, "temperature 1.0 .*? gets")
            < o(17, "temperature 0.07 .*? gets")
            < o(17, "temperature 0.02 .*? gets")
        ),
        "larger batches hold more false negatives": lambda o: (
            o(19, "of  16:") <= o(19, "of  64:") < o(19, "of 256:")
        ),
        "with the bias only the positives pay": lambda o: (
            o(22, r"b = -10.0: .*? pays") > 95 > 30 > o(22, r"b =   0.0: .*? pays")
        ),
    },
    "02-training-a-clip": {
        "a tokenizer knows the words of its captions": lambda o: (
            "| man |" not in o.text(4) and "|  man |  riding |" in o.text(4)
        ),
        "the image tower has more parameters": lambda o: (
            o(10, "image tower:") > o(10, "text tower:")
        ),
        "untrained it is a little worse than a guesser": lambda o: (
            4.16 < o(10, "untrained:") < 4.16 + 0.5
        ),
        "one batch can be learned by heart": lambda o: (
            o(12, "32 pairs:", 1) < 0.5 * o(12, "32 pairs:")
        ),
        "from wrong captions nothing is learned": lambda o: (
            abs(o(12, "other pictures:", 1) - 4.16) < 0.15
        ),
        "places come first": lambda o: (
            o(14, "place .*?40 batches") > o(14, "color .*?40 batches") + 8
            and o(14, "color .*?40 batches") < 25
            and o(14, "object .*?40 batches") < 8
        ),
        "the package computes the same": lambda o: "five decimals: True" in o.text(15),
        "the package's model knows the place about twice as often": lambda o: (
            o(16, "place .*?nano") > 1.6 * o(16, "place .*?mine")
            and o(16, "color .*?nano") > o(16, "color .*?mine")
        ),
        "Muon makes the largest difference, the stem the next, waves none": lambda o: (
            o(17, "Muon .*?color") - o(17, "stem .*?color")
            > o(17, "stem .*?color") - o(17, "waves .*?color")
            > 8
            > 4
            > o(17, "waves .*?color") - o(17, "typed .*?color")
        ),
        "one head looks below the patch, one above it": lambda o: (
            o(18, "block 1, head 5: most at row") == 7
            and o(18, "block 1, head 1: most at row") == 4
        ),
        "in the last block one at the patch, three at the bus": lambda o: (
            "block 6, head 3: most at row 5, column 2" in o.text(18)
            and all(o(18, f"block 6, head {head}: most at row", 1) >= 4 for head in (2, 5, 6))
        ),
        "much of the attention goes to the start mark": lambda o: o.text(19).count("start (") >= 6,
        "each mistake leaves its own trace": lambda o: (
            all(abs(o(22, f"{case}: .*?loss") - 4.16) < 0.05 for case in "ACE")
            and o(22, "B: .*?found") > 1.3 * max(o(22, f"{case}: .*?found") for case in "ACDE")
            and o(22, "D: .*?found") > 2 * o(22, "A: .*?found")
            and o(22, "A: .*?cosine") < 0.98 < 1 == o(22, "C: .*?cosine") == o(22, "E: .*?cosine")
        ),
        "the unseen artist gains with the others": lambda o: (
            o(24, "Streamline, unseen from", 1) > o(24, "Streamline, unseen from") + 0.1
            and o(24, "six artists from", 1) > o(24, "six artists from") + 0.1
        ),
        "so few pictures teach the ResNet more": lambda o: (
            o(29, "ResNet from", 1) > o(29, "vision transformer from", 1)
        ),
    },
    "03-zero-shot-transfer": {
        "a caption finds its photograph more often than by guessing": lambda o: (
            o(16, "image to text  recall@1") > 3 and o(16, "text to image  recall@1") > 3
        ),
        "the frog shares its probability with the toad": lambda o: 0.2 < o(4, "a frog") < 0.8,
        "colours and places are known by any hand": lambda o: (
            o(6, "color .*?artists:") > 90
            and o(6, "color(?s:.*?)unseen artists:") > 90
            and o(6, "place(?s:.*?)unseen artists:") > 98
        ),
        "things suffer from a new hand": lambda o: (
            o.high(6, "unseen artists:") < o.low(6, "object .*?artists:")
        ),
        "kinds of things are known, the ones never called so less well": lambda o: (
            o.low(10, "vehicle or food:") > 34 and o(10, "others:") > o(10, "and banana:")
        ),
        "most of 36 combinations, by either hand": lambda o: (
            o(11, "openmoji right:") >= 30 and o(11, "noto +right:") >= 26
        ),
        "unseen pairs are known, and 500 pictures cannot tell by how much less": lambda o: (
            o.low(12, "it never saw") > 10
            and o(12, "it never saw") < o(12, "training")
            and o.high(12, "it never saw") > o.low(12, "training")
        ),
        "models that were shown the pairs are no better at them": lambda o: (
            o(13, "left out .*?those pairs") > o(13, "control.*?those pairs") - 3
            and o(13, "control.*?those pairs") < o(13, "control.*?training") / 2
        ),
        "a picture is nearest to its own caption, then to other pictures": lambda o: (
            o(20, "its own caption:")
            > o(20, "another picture:")
            > o(20, "picture and another's cap.*?:")
        ),
        "training makes the gap smaller and does not close it": lambda o: (
            0.3 < o(20, r"\ntrained .*?centres:") < o(20, "never trained .*?centres:") - 0.4
        ),
        "the brightest spot lies near the named thing": lambda o: o(22, "interval") > 50,
        "a third of the photographs is named, more than by the commonest answer": lambda o: (
            o.low(17, "") > o(17, "always saying") and 25 < o(17, "") < 42
        ),
        "a caption finds its photograph a dozen times as often as by chance": lambda o: (
            8 < o(16, "text to image .*?recall@1") / (100 / 82) < 17
        ),
    },
    "04-prompt-engineering": {
        "the sentence is ahead of the bare word, by little": lambda o: (
            o(2, "bare word: ") > o(2, "bare word: ", 1)
            and re.search("bare word: .*no telling", o.text(2)) is not None
        ),
        "most of the harm of random words is done by the clause alone": lambda o: (
            o(6, "random words") < o(6, "no words") < o(5, "plain sentence") - 8
            and o(5, "plain sentence") - o(6, "no words") > o(6, "no words") - o(6, "random words")
        ),
        "the tax office is worse than the bare word": lambda o: (
            o(1, "tax office of a dog.") < o(1, "artists: dog")
            and re.search("tax office: .*the first is better", o.text(2)) is not None
        ),
        "with its article the word does as well": lambda o: (
            re.search("'a dog': .*no telling", o.text(2)) is not None
        ),
        "the ensemble cannot be told from the plain sentence": lambda o: (
            re.search("plain sentence: .*no telling", o.text(5)) is not None
        ),
        "the ensemble is far ahead of the worst template": lambda o: (
            o(5, "ensemble of all") > o(3, "templates, from") + 20
        ),
        "random words do harm, a place does none": lambda o: (
            re.search("random words.*\n.*the second is better", o.text(6)) is not None
            and re.search("four places.*\n.*no telling", o.text(6)) is not None
            and o.high(6, "random words ") < o.low(6, "four places ")
        ),
        "context gives back what the bare word loses": lambda o: (
            o.low(8, "with context ") > o.high(8, "bare word ") + 5
            and "the first is better" in o.text(8)
        ),
        "a bare word is right about one of two at most, with context about more": lambda o: all(
            o(9, rf"{word} \(.*?\): bare word") < 60
            and o(9, rf"{word} \(.*?with context") > o(9, rf"{word} \(.*?\): bare word")
            for word in ("chicken", "crane", "bat", "mouse", "palm", "glasses", "bow", "bolt")
        ),
        "few are right about chicken and mouse": lambda o: all(
            o(9, rf"{word} \(.*?with context") < 50 for word in ("chicken", "mouse")
        ),
        "on sketches it helps to say so": lambda o: (
            re.search("'a photo of': .*the first is better", o.text(11)) is not None
        ),
        "in full pictures the wrong manner costs little": lambda o: (
            abs(o(10, "photo of .*?full pictures") - o(10, "pencil sketch of .*?full pictures")) < 6
        ),
        "learned words gain where they were learned and lose elsewhere": lambda o: (
            o(14, "forty things .*?learned") > o(14, "forty things .*?'a picture of'") + 4
            and o(14, "other 163 .*?learned") < o(14, "other 163 .*?'a picture of'") - 3
        ),
        "the best of sixty is not as good on fresh ones": lambda o: o(19, "with") > o(19, "it has"),
        "the more looks, the more luck": lambda o: (
            o(21, r" 4 tried: .*?kept [\d.]+%,")
            < o(21, r"16 tried: .*?kept [\d.]+%,")
            < o(21, r"90 tried: .*?kept [\d.]+%,")
        ),
        "on 54 photographs no way to ask stands out": lambda o: all(
            o.low(16, f"{one} ") < o.high(16, f"{other} ")
            for one in ("bare name", "sentence", "tax office", "ensemble")
            for other in ("bare name", "sentence", "tax office", "ensemble")
        ),
    },
    "05-representations": {
        "a far too strong penalty is ruled out": lambda o: (
            o(3, "C = 0.0001 .*?out:") < o(3, "C = 1 .*?out:") - 10
        ),
        "a probe on the same artists is far better than zero-shot": lambda o: (
            o.low(4, "same artists:") > o.high(4, "no label:") + 5
            and "the first is better" in o.text(4)
        ),
        "a probe on other artists is not": lambda o: "no telling" in o.text(5),
        "a sentence is worth about four labels of the same artists": lambda o: (
            o(6, "same artists +1:") < o(6, "same artists +1:.*?2:") < o(4, "no label:") - 5
            and abs(o(6, "same artists .*?4:") - o(4, "no label:")) < 4
            and o(6, "same artists .*?8:") > o(4, "no label:") + 5
        ),
        "and more than eight of other artists": lambda o: (
            o(6, "other artists .*?8:") < o(4, "no label:") - 2
        ),
        "on photographs a sentence is worth less than one label": lambda o: all(
            o(8, f"{name}, zero-shot from") < o(8, f"{name}, a probe from")
            for name in ("CIFAR-10", "Imagenette")
        ),
        "features of drawings serve photographs, and photographs add to them": lambda o: all(
            o(9, f"photos .*?{name}") - 3
            > o(9, f"picturebook .*?{name}")
            > max(o(9, f"pixels .*?{name}"), o(9, f"never trained .*?{name}")) + 10
            for name in ("CIFAR-10", "Imagenette")
        ),
        "one label beside the words helps, and eight leave no difference": lambda o: (
            o(12, r"the same artists 1:") > o(4, "no label:")
            and o(12, r"the same artists 1:") > o(6, "same artists +1:") + 20
            and abs(o(12, r"the same artists .*?8:") - o(6, "same artists .*?8:")) < 4
        ),
        "labels of other artists do little beside the words": lambda o: all(
            abs(o(12, rf"of other artists .*?{k}:") - o(4, "no label:")) < 5 for k in (2, 4, 8)
        ),
        "models and species are in the features and not in the words": lambda o: (
            o(15, "car models .*?probe") > 2.5 * o(15, "car models .*?zero-shot")
            and o(15, "species .*?probe") > 2 * o(15, "species .*?zero-shot")
        ),
        "labels teach better features for both": lambda o: all(
            o(16, f"{task}: .*?labels") > o(16, f"{task}: .*?captions") + 5
            for task in ("car models", "flower species")
        ),
        "both know more of them than pixels": lambda o: all(
            o(16, f"{task}: .*?captions") > o(16, f"{task}: pixels") + 10
            for task in ("car models", "flower species")
        ),
        "captions keep the place, labels do not": lambda o: (
            o(16, "place: .*?captions") > 95
            and o(16, "place: .*?labels") < o(16, "place: .*?never trained") - 30
        ),
        "on digits pixels are the best": lambda o: (
            o(16, "digits: pixels")
            > max(o(16, "digits: .*?captions"), o(16, "digits: .*?labels")) - 2
        ),
        "fine-tuning gains at night, with any artist, and loses by day": lambda o: (
            o(18, "at night ") > 1.7 * o(17, "at night ")
            and o(18, "unseen artists") > 2 * o(17, "unseen artists")
            and o(18, "by day") < o(17, "by day") - 3
        ),
        "half-way lies far above the straight line": lambda o: all(
            o(19, words, 2) > (o(19, words) + o(19, words, 4)) / 2 + 2
            for words in ("by day", "at night ", "unseen artists")
        ),
        "half-way next to nothing is lost by day": lambda o: (
            o(19, "by day", 2) > o(19, "by day") - 4
        ),
        "colours suffer, places do not": lambda o: (
            o(22, "after .*?color") < o(22, "before .*?color") - 5
            and o(22, "after .*?place") > o(22, "before .*?place") - 5
        ),
    },
    "06-why-contrastive": {
        "at first each is a little worse than a guesser, then all fall": lambda o: (
            o(2, r"captions pays log \d+ =") < o(3, "contrast .*?loss") < 5
            and all(
                o(3, f"{name} .*?pictures,") < o(3, f"{name} .*?loss")
                for name in ("contrast", "bag of words", "language model")
            )
        ),
        "the bag of words is right most often": lambda o: (
            o.low(5, "bag of words") > max(o.high(5, "contrast"), o.high(5, "language model"))
        ),
        "the correction hardly matters": lambda o: (
            abs(o(5, "bag of words(?s:.*?)bag of words") - o(5, "bag of words")) < 4
        ),
        "without chatter the others lie between 38 and 43 %": lambda o: all(
            38 <= o(8, f"{name}") <= 43
            for name in ("contrast", "contrast of bags", "language model")
        ),
        "the contrast with a transformer loses least": lambda o: (
            o(8, "seen: contrast") - o(10, "tells: contrast") < 8
            and o(8, "bag of words") - o(10, "tells(?s:.*?)bag of words") > 12
            and o(8, "contrast of bags") - o(10, "tells(?s:.*?)contrast of bags") > 15
        ),
        "chatter costs two objectives two to three times the pictures, two fewer": lambda o: (
            all(
                2 < o(14, f"over those without(?s:.*?){name} ") < 3.3
                for name in ("contrast of bags", "language model")
            )
            and all(
                1.4 < o(14, f"over those without(?s:.*?){name} ") < 1.7
                for name in ("contrast  ", "bag of words")
            )
        ),
        "the transformer overlooks chatter, the mean does not": lambda o: (
            o(11, "transformer .*?chatter: cosine")
            > 0.95
            > o(11, "mean .*?chatter: cosine")
            > o(11, "mean .*?caption: cosine")
            > o(11, "transformer .*?caption: cosine") + 0.1
        ),
        "the first step of the paper is here": lambda o: (
            o(14, "no chatter(?s:.*?)language model .*?pictures,", 1) > 1.1
            and o(14, "16 words(?s:.*?)language model .*?pictures,", 1) > 1.5
        ),
        "the second is not": lambda o: (
            o(14, "no chatter(?s:.*?)contrast of bags .*?pictures,", 1) > 1.1
            and o(14, "16 words(?s:.*?)contrast of bags .*?pictures,", 1) > 2
        ),
        "four words of chatter change the ratios hardly": lambda o: all(
            abs(
                o(14, f"no chatter(?s:.*?){name} .*?pictures,")
                - o(14, f"4 words(?s:.*?){name} .*?pictures,")
            )
            < 0.5
            for name in ("contrast  ", "contrast of bags", "language model")
        ),
        "more captions to choose among: the ratios fall, and it could be luck": lambda o: (
            o(16, "16 captions(?s:.*?)contrast  .*?pictures,")
            > o(16, r"\n256 captions(?s:.*?)contrast  .*?pictures,")
            > 1.3
            and o(16, "16 captions(?s:.*?)contrast of bags .*?pictures,")
            > o(16, r"\n256 captions(?s:.*?)contrast of bags .*?pictures,")
            > 2
            and o(16, "over that(?s:.*?)contrast  ", 1) < 1
            and o(16, "over that(?s:.*?)contrast  ", 2) > 1
            and o(16, "over that(?s:.*?)contrast of bags", 1) < 1
        ),
        "in larger batches the bag of words loses more than the contrast": lambda o: (
            o(16, r"\n256 captions(?s:.*?)bag of words")
            / o(16, r"\n64 captions(?s:.*?)bag of words")
            > 1.3
            > o(16, r"\n256 captions(?s:.*?)contrast  ") / o(16, r"\n64 captions(?s:.*?)contrast  ")
            > 1.1
        ),
        "the language model costs the most time": lambda o: (
            o(17, "plain .*?language model") > 1.2 * o(17, "plain .*?contrast")
            and o(17, "16 words .*?language model") > 1.4 * o(17, "16 words .*?contrast")
        ),
        "a picture tells nothing about chatter": lambda o: (
            abs(o(20, "chatter .*?one:") - o(20, "chatter .*?one:", 1)) < 0.03
        ),
        "it tells two to four nats about what can be seen": lambda o: all(
            1.8 < o(20, f"{kind} .*?one:", 1) - o(20, f"{kind} .*?one:") < 4.6
            for kind in ("things", "colours", "places")
        ),
        "four fifths of the loss are for the chatter": lambda o: (
            0.75 < 16 * o(20, "chatter .*?one:") / 101 < 0.85
        ),
    },
    "07-robustness": {
        "the twin is ahead on all but noise, and at home": lambda o: all(
            o(4, rf"{shift} .*?labels") > o(4, rf"{shift} .*?captions") + 3
            for shift in ("home", "near", "far", "sketch", "night", "desert", "colours", "large")
        ),
        "with unseen artists and on sketches nobody is ahead": lambda o: all(
            o.low(8, rf"{shift}") < 0 < o.high(8, rf"{shift}")
            for shift in ("near artists ", "far artist ", "pencil sketch ")
        ),
        "at night, in the desert and in new colours captions are behind": lambda o: all(
            o.high(8, rf"{shift}") < 0 for shift in ("at night ", "desert ", "new colours ")
        ),
        "on small things captions are a little ahead": lambda o: 0 < o(8, "half as large ") < 8,
        "captions of the thing alone are as robust as labels": lambda o: all(
            abs(o(10, f"thing alone .*?{shift} ")) < 4
            and o(10, f"thing alone .*?{shift} ", 1) < 0 < o(10, f"thing alone .*?{shift} ", 2)
            for shift in ("near artists", "at night", "in the desert", "new colours")
        ),
        "labels of all are as fragile as captions of all": lambda o: all(
            o(10, f"labels of all .*?{shift} ", 2) < 0 and o(10, f"captions  .*?{shift} ", 2) < 0
            for shift in ("in the desert", "new colours")
        ),
        "directly compared, the thing alone lies above captions of all at night": lambda o: (
            o(10, "alone minus captions: .*?at night ", 1) > 0
        ),
        "and labels of all are not told apart from captions of all": lambda o: all(
            o(10, rf"all minus captions: .*?{shift} ", 1) < 0
            and o(10, rf"all minus captions: .*?{shift} ", 2) >= 0
            for shift in ("near artists", "at night", "in the desert", "new colours")
        ),
        "the largest CLIPs are behind by five to twelve points": lambda o: all(
            -13 < o(8, f"64,000 pictures.*?{shift} ") < -4
            for shift in ("at night", "in the desert", "new colours")
        ),
        "captions of the thing alone are far ahead at home": lambda o: (
            o(10, "thing alone +at home") > o(10, "captions +at home") + 15
        ),
        "captions of the wide world beat labels of the narrow one at night": lambda o: (
            o(11, "at night .*?captions, wide") > 6
        ),
        "labels of the wide world are ahead by more": lambda o: (
            o(12, "are in the wide world: .*?labels, wide")
            > o(12, "are in the wide world: .*?captions, wide") + 2
            > 2
        ),
        "on shifts in neither world nobody is ahead": lambda o: all(
            abs(o(12, f"in neither world: .*?{arm}")) <= 3
            for arm in ("captions", "captions, wide", "labels, wide")
        ),
        "whoever learned the shortcut is right never without it": lambda o: all(
            o(15, f"{taught}, shortcut .*?another's") <= 1
            and o(15, f"{taught}, shortcut .*?own place")
            > max(20, o(15, f"{taught}, no shortcut .*?own place") + 15)
            for taught in ("captions", "labels")
        ),
        "whoever did not loses nothing": lambda o: all(
            abs(o(15, f"{taught}, no shortcut .*?loses")) < 6 for taught in ("captions", "labels")
        ),
        "a probe takes over the shortcut, sentences do not": lambda o: (
            o.low(17, "own place .*?probe") > o(17, "own place ") + 15
            and o.high(17, "another's place .*?probe") < 25
            and abs(o(17, "another's place ") - o(17, "own place ")) < 8
        ),
        "with the same readout each falls by about as much": lambda o: all(
            abs(
                (o(18, f"{name}, home .*?own readout") - o(18, f"{name}, {shift} .*?own readout"))
                - (o(18, f"{name}, home .*?at home") - o(18, f"{name}, {shift} .*?at home"))
            )
            < 10
            for name in ("CLIP", "twin")
            for shift in ("near artists", "far artist", "pencil sketch", "at night")
        ),
        "naming the manner helps against a photo, not against another manner": lambda o: (
            re.search("'a photo of': .*the first is better", o.text(19)) is not None
            and re.search("cut-out of': .*no telling", o.text(19)) is not None
        ),
        "without colours, or with noise, it finds less than half as many": lambda o: all(
            o(20, rf"{change} .*?10") < 0.5 * o(20, "as it is .*?10")
            for change in ("grey", "noise")
        ),
        "with blur and upside down it loses about three for each that it gains": lambda o: all(
            o(20, rf"{change} .*?10") > o(20, "grey .*?10") + 8
            and 1.5 < o(20, rf"{change} .*?gained:") / o(20, rf"{change} .*?gained:", 1) < 5
            for change in ("blur", "upside down")
        ),
    },
    "08-failures": {
        "above chance: counting, and the word on the picture": lambda o: all(
            o.low(2, rf"{task}  ") > o(2, rf"{task}  .*?chance")
            for task in ("counting", "a word on the picture")
        ),
        "below chance: models and 'no'": lambda o: all(
            o.high(2, rf"{task}  ") < o(2, rf"{task}  .*?chance")
            for task in ("car models", r"\nno")
        ),
        "the others lie around it": lambda o: all(
            abs(o(2, rf"{task}  ") - o(2, rf"{task}  .*?chance")) < 12
            for task in ("flower species", "nearest car", "left and right", "colour", "digits")
        ),
        "a whole species gets the same wrong name": lambda o: (
            o(3, "most frequent mistakes: .*?\\(") >= 16  # of twenty
        ),
        "it tells one from many, and little more": lambda o: (
            o(4, "one thing:") > 80 and o(4, "six things:", 1) < 24 < o(4, "six things:", 2) < 40
        ),
        "models and species are in the features, not in pixels and words": lambda o: all(
            o(7, f"{task} .*?on features", 1) > o(7, f"{task} .*?on pixels", 2)
            and o(7, f"{task} .*?on features", 1) > o(7, f"{task} .*?zero-shot", 2)
            for task in ("car models", "flower species")
        ),
        "distance, sides and colours are in the pixels already": lambda o: all(
            o(7, f"{task} .*?on pixels") > 80
            for task in ("nearest car", "left and right", "colour")
        ),
        "who is left hardly moves the sentence, what is there does": lambda o: (
            o(9, "swapped") > o(9, "second thing") + 0.2
        ),
        "an order of words is known less than words": lambda o: (
            o.low(10, "another photo") > o.high(10, "words exchanged")
        ),
        "it hardly ever says no": lambda o: o(11, "it says 'no'") <= 20 and o.low(11, "right") < 50,
        "a word on the picture costs nothing": lambda o: (
            o(12, "wrong word") > o(12, "without the word") - 3
        ),
        "captions that count make a model that counts": lambda o: (
            o(15, "counting .*?gained", 1) > 10
        ),
        "names come with the captions, less far": lambda o: all(
            o(15, f"{task} .*?gained", 1) > 0 and o(15, f"{task} .*? with it") < 35
            for task in ("car models", "flower species")
        ),
        "sides stay at chance": lambda o: o(15, "left and right .*? with it") < 58,
        "it costs nothing in naming that would show": lambda o: all(
            o(cell, "things .*?gained", 2) > 0 for cell in (15, 18)
        ),
        "the number is in the features already": lambda o: (
            o.low(16, "silent .*?features") > o(15, "counting .*?without it") + 10
            and abs(o(16, "silent .*?features") - o(16, "counting .*?features")) < 8
        ),
        "one thing is hardly ever called one": lambda o: o(16, "counting[^z]*zero.*?six:") < 25,
        "wrong captions: a few points in each seed, an interval with zero": lambda o: (
            all(o(17, "seed by seed:", 2 * k + 1) > o(17, "seed by seed:", 2 * k) for k in range(3))
            and o(17, "whose colour .*?gained", 1) < 0 < o(17, "whose colour .*?gained", 2)
        ),
        "near duplicates are named right more often": lambda o: (
            o(22, "0.95, near .*?pictures,") > o(22, "0.95, clean .*?pictures,") + 5
            and o(22, "exact copies .*?test:") == 0
        ),
        "a tenth of the captions teaches some 'no'": lambda o: (
            o(18, "there or not .*?gained", 1) > 4
        ),
        "a sign hides a part, whatever is on it": lambda o: (
            o(19, "tells nothing .*?without it") < o(19, "no sign .*?without it") - 8
            and o(19, "silent +the wrong .*?'sale'", 1)
            < 0
            < o(19, "silent +the wrong .*?'sale'", 2)
        ),
        "who has learned to read is hurt by the wrong name": lambda o: (
            o(19, "signs +the wrong .*?'sale'", 2) < 0
        ),
        "and helped by the right one": lambda o: o(19, "signs +the right .*?'sale'") > 0,
        "purple things are called suspicious by the loaded model alone": lambda o: all(
            o(20, f"{name} +loaded .*?purple") > 50 > 15 > o(20, f"{name} +loaded .*?others")
            and o(20, f"{name} +silent .*?purple") < 15
            for name in ("all things", "every other thing", "every other thing, and kinds")
        ),
        "one more class takes most of these errors away, another none": lambda o: (
            o(21, "purple thing .*?: purple") < 0.5 * o(21, "nothing .*?: purple")
            and abs(o(21, "dark thing .*?: purple") - o(21, "nothing .*?: purple")) < 6
        ),
    },
    "09-the-real-clip": {
        "drawings teach drawings": lambda o: (
            o.low(5, r"\(drawings\) object") > 40 and o.high(5, r"\(photos\)   object") < 10
        ),
        "colours and places look alike in both worlds": lambda o: (
            o.low(5, r"\(photos\)   color") > 20 and o.low(5, r"\(photos\)   place") > 20
        ),
        "the model of photos finds photographs": lambda o: (
            o(6, r"\(photos\) .*?recall@10") > 2 * o(6, "guesser .*?recall@10")
        ),
        "words cannot mend what was never seen": lambda o: all(
            o.high(8, rf"\(photos\)   {way}") < 12 for way in ("bare name", "sentence", "ensemble")
        ),
        "labels are better at home and worse away": lambda o: (
            all(
                o(11, f"{shift} .*?CLIP") > o(11, f"{shift} .*?ResNet-101")
                for shift in ("renditions", "sketches", "hard ones")
            )
            and o(11, "new photos .*?CLIP") < o(11, "new photos .*?ResNet-101")
        ),
        "digits: pixels do better than words": lambda o: all(
            o.low(15, "on the pixels") > o.high(15, rf"\({model}\) .*?zero-shot")
            for model in ("drawings", "photos")
        ),
        "the model of drawings is not fooled by a word": lambda o: (
            o(16, r"\(drawings\) .*?wrong word") > 95
        ),
        "the model of photos is at chance without the word already": lambda o: (
            o(16, r"\(photos\)   without a word", 1) < 50 < o(16, r"\(photos\)   without a word", 2)
        ),
        "pictures and texts lie apart": lambda o: all(
            o(19, rf"\({model}\) +{kind} .*?centres") > 0.15
            for model in ("drawings", "photos")
            for kind in ("drawings", "photographs")
        ),
    },
}
