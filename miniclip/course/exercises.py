"""Exercises that check themselves and answer in sentences that teach.

Used at the end of every notebook, as in `answer("01.guesser", 3.14)`, and in homework, where
functions are handed in, as in `check("hw1.info_nce", info_nce)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from miniclip.course.checks import check

__all__ = ["EXERCISES", "Exercise", "answer", "check"]


@dataclass(frozen=True)
class Exercise:
    """A question.

    Args:
        question: its text.
        right: the answer: a number, or one of the words that the question offers.
        hint: for a wrong answer.
        tolerance: how far off a number may be.
    """

    question: str
    right: float | str
    hint: str
    tolerance: float = 0.0


EXERCISES = {
    "01.guesser": Exercise(
        "What does a pure guesser pay in a batch of 32,768, in nats? (two decimals)",
        math.log(32768),
        "every answer is equally likely: -log(1/B)",
        0.01,
    ),
    "01.alike": Exercise(
        "A batch of 4 in which all four pairs are the same: the lowest possible loss, in nats? (two"
        " decimals)",
        math.log(4),
        "nothing tells them apart, so the best is a guess among four",
        0.01,
    ),
    "01.negatives": Exercise(
        "How many negative captions does each picture have in a batch of 64?",
        63,
        "all captions of the batch but its own",
    ),
    "01.by-hand": Exercise(
        "S = 0.5 on the diagonal and 0.3 elsewhere, B = 3, temperature 0.1: the loss? (two"
        " decimals)",
        math.log(1 + 2 * math.exp(-2)),
        "a row of logits is 5, 3, 3; take -log of the softmax of the first",
        0.01,
    ),
    "02.patches": Exercise(
        "A 64 px picture in patches of 8 px: how many patches?", 64, "8 rows of 8"
    ),
    "02.attention": Exercise(
        "At 96 px with patches of 8 px, how many times as many attention weights are there as at 64"
        " px? (two decimals)",
        (144 / 64) ** 2,
        "each patch looks at each patch",
        0.01,
    ),
    "02.stuck": Exercise(
        "A loss has stayed at 5.55 for an hour. For which batch size is that pure guessing?",
        257,
        "log B = 5.55, so B = exp(5.55)",
        2,
    ),
    "02.epoch": Exercise(
        "20,000 pictures, batches of 64: how many whole batches are one epoch?",
        312,
        "20,000 / 64, rounded down",
    ),
    "03.numbers": Exercise(
        "A classifier for 40 classes, with an embedding of 192 numbers: of how many numbers does it"
        " consist?",
        40 * 192,
        "one vector for each class",
    ),
    "03.softmax": Exercise(
        "Cosines 0.6 and 0.5, inverse temperature 20: the probability of the first? (two decimals)",
        1 / (1 + math.exp(-2)),
        "the softmax of 12 and 10",
        0.01,
    ),
    "03.none": Exercise(
        "You add the sentence 'a picture.' to the list. Does the probability of the right class"
        " 'rise', 'fall' or 'stay'?",
        "fall",
        "what do all probabilities add up to?",
    ),
    "03.captions": Exercise(
        "500 pictures, five captions each: among how many captions does a picture look for its"
        " own?",
        2500,
        "all captions of all pictures",
    ),
    "04.vectors": Exercise(
        "88 templates and 203 classes: with how many vectors does an ensembled classifier compare a"
        " picture?",
        203,
        "the mean over templates is taken before any picture comes",
    ),
    "04.points": Exercise(
        "Of 60 pictures, how many more must be right for the score to rise by 5 points?",
        3,
        "5 % of 60",
    ),
    "04.best": Exercise(
        "You choose among 100 prompts on the test set and report the best. Is the figure 'too"
        " high', 'too low' or 'right'?",
        "too high",
        "see the two lines in section 6",
    ),
    "05.numbers": Exercise(
        "A linear probe for 40 classes on features of 192 numbers: how many weights and biases does"
        " it learn?",
        40 * 193,
        "a weight for each class and number, and a bias for each class",
    ),
    "05.strength": Exercise(
        "You choose C by the accuracy on the test set, and report that accuracy. Is it 'too high',"
        " 'too low' or 'right'?",
        "too high",
        "the best of many looks is partly luck; see notebook 04",
    ),
    "05.failure": Exercise(
        "Zero-shot is at chance on a task, a probe on plain pixels hardly above it, a probe on the"
        " features of the tower at 95 %. Where is the fault, in the 'features' or in the 'words'?",
        "words",
        "the probe saw nothing but the features",
    ),
    "05.average": Exercise(
        "WiSE-FT with a share of 0.25: a weight that was 1.0 and is 3.0 after fine-tuning becomes?"
        " (one decimal)",
        1.5,
        "(1 - share) before + share after",
        0.01,
    ),
    "06.guess": Exercise(
        "What does a pure guesser among 500 words pay for each word, in nats? (two decimals)",
        math.log(500),
        "-log(1/500)",
        0.01,
    ),
    "06.order": Exercise(
        "Which of the three objectives does not change if the words of a caption are shuffled:"
        " 'language model', 'bag of words' or 'contrast' (with a text transformer)?",
        "bag of words",
        "a bag has no order; the text tower of a contrast reads from left to right",
    ),
    "06.fair": Exercise(
        "You tune the learning rate of your own method only, and leave the rivals' as it was. Is"
        " your advantage 'too large', 'too small' or 'right'?",
        "too large",
        "whose best did you look for?",
    ),
    "07.gap": Exercise(
        "At home a CLIP has 95 % and its twin 95 %; on sketches 60 % and 40 %. How many percent of"
        " the twin's gap does the CLIP close? (whole number)",
        36,
        "the twin loses 55 points, the CLIP 35: (55 - 35) / 55",
        0.5,
    ),
    "07.fair": Exercise(
        "A model is better at home by 10 points and on sketches by 10 points. Does that alone show"
        " that it is more robust? 'yes' or 'no'",
        "no",
        "what happens under shift at equal accuracy at home?",
    ),
    "07.points": Exercise(
        "Accuracy 50 % on 400 pictures: how wide is one arm of the 95 % interval, in points? (one"
        " decimal)",
        4.9,
        "1.96 sqrt(0.5 x 0.5 / 400)",
        0.06,
    ),
    "07.classes": Exercise(
        "How many new outputs does a zero-shot CLIP need for a 41st class?",
        0,
        "a class is a sentence",
    ),
    "08.chance": Exercise(
        "Counting from one to six, equally often: chance, in percent? (one decimal)",
        100 / 6,
        "one of six",
        0.06,
    ),
    "08.probe": Exercise(
        "Zero-shot and a linear probe with plenty of labels are both at chance. Where is the fault"
        " likely to be, in the 'features' or in the 'words'?",
        "features",
        "other words would not help the probe; what it needs is not there, or not where a line can"
        " find it",
    ),
    "08.knob": Exercise(
        "Two models differ in counting. Their captions differ in the numbers and names that they"
        " say and in nothing else, the pictures are the same. Is the cause the 'pictures' or the"
        " 'captions'?",
        "captions",
        "what differs between the two?",
    ),
    "08.leak": Exercise(
        "A tenth of a test leaked into training and is always right; on the rest the model has 70"
        " %. What does it report, in percent?",
        73,
        "0.1 x 100 + 0.9 x 70",
    ),
    "09.patches": Exercise(
        "ViT-B/32 at 224 px: how many patches does it look at?", 49, "7 rows of 7"
    ),
    "09.batch": Exercise(
        "400 million pairs, 32 times each, in batches of 32,768: how many thousand steps?",
        391,
        "400,000,000 x 32 / 32,768",
        1,
    ),
    "09.reading": Exercise(
        "A model is not fooled by words on pictures. Does that alone show that it understands"
        " pictures better? 'yes' or 'no'",
        "no",
        "can it read?",
    ),
    "09.pairs": Exercise(
        "At 100 pictures a second, how many days do 400 million pictures take, once each? (whole"
        " days)",
        46,
        "400,000,000 / 100 / 86,400",
        0.5,
    ),
    "04.coins": Exercise(
        "8 coins, 3 throws each: the chance that one coin at least shows heads every time? (two"
        " decimals)",
        1 - (7 / 8) ** 8,
        "one coin fails with probability 7/8; what about all of them?",
        0.01,
    ),
}


def answer(name: str, given=None) -> None:
    """Show an exercise, or say whether an answer is right. The right answer is never shown.

    Args:
        name: of the exercise, such as "01.guesser".
        given: the answer; None shows the question.
    Raises:
        ValueError: if there is no such exercise.
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    if given is None:
        print(f"?  {exercise.question}")
    elif isinstance(exercise.right, str):
        _say(str(given).strip(" .!").lower() == exercise.right, given, exercise)
    else:
        try:
            _say(abs(float(given) - exercise.right) <= exercise.tolerance + 1e-9, given, exercise)
        except (TypeError, ValueError):
            print(f"✗  {given!r} is not a number.  {exercise.question}")


def _say(right: bool, given, exercise: Exercise) -> None:
    print(
        f"✓  {given} is right.  {exercise.question}"
        if right
        else f"✗  {given} is not right.  {exercise.question}  Hint: {exercise.hint}."
    )
