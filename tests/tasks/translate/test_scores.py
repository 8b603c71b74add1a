import subprocess
import sys

import pytest
import sacrebleu

from unspool.data.moses import lowercased_tokens
from unspool.tasks.translate.scores import (
    BLEU,
    BLEU_LOWERCASED,
    CHRF,
    exact_match,
    fitting,
    scores,
)

OURS = ["Two dogs are running across the grass.", "A man, sitting on a bench, reads.", "Nothing"]
THEIRS = ["Two dogs run across the green grass.", "a man sits on a bench and reads .", "A child"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (BLEU, ["--metrics", "bleu"]),
        (CHRF, ["--metrics", "chrf"]),
        (BLEU_LOWERCASED, ["--metrics", "bleu", "--tokenize", "none", "--force"]),
    ],
)
def test_the_figures_are_those_of_sacrebleu_s_own_command(name, options, tmp_path):
    for file, texts in (("ours", OURS), ("theirs", THEIRS)):
        if name == BLEU_LOWERCASED:
            texts = [lowercased_tokens(text, "en") for text in texts]
        (tmp_path / file).write_text("".join(f"{text}\n" for text in texts))
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "theirs"), "-b", "-w", "6"]
    ours = ["-i", str(tmp_path / "ours")]
    printed = subprocess.run([*command, *ours, *options], capture_output=True, check=True)
    found = scores(OURS, THEIRS, language="en")[name]
    assert found.value == pytest.approx(float(printed.stdout), abs=1e-6)
    assert found.value > 1


def test_signatures_tell_the_variants_apart():
    found = scores(OURS, THEIRS)
    assert "case:mixed" in found[BLEU].signature
    assert "case:lc" in found[BLEU_LOWERCASED].signature
    assert "tok:moses-normalised-any" in found[BLEU_LOWERCASED].signature
    named = scores(OURS, THEIRS, [BLEU_LOWERCASED], language="fr")
    assert "tok:moses-normalised-fr" in named[BLEU_LOWERCASED].signature
    assert list(named) == [BLEU_LOWERCASED]
    assert "nc:6" in found[CHRF].signature
    assert all("version:" in score.signature for score in found.values())


def test_the_language_decides_about_apostrophes():
    ours, theirs = "it's a tree that stands here", "it's a bush that stands here"
    for language, apart in (("en", "it 's"), (None, "it ' s")):
        found = scores([ours], [theirs], [BLEU_LOWERCASED], language=language)
        tokens = [text.replace("it's", apart) for text in (ours, theirs)]
        expected = sacrebleu.corpus_bleu([tokens[0]], [[tokens[1]]], tokenize="none")
        assert found[BLEU_LOWERCASED].value == pytest.approx(expected.score)


def test_scores_that_say_something():
    assert fitting(["2026-03-13", "olleh", ""]) == (CHRF,)
    assert fitting(["one two three", "four"]) == (CHRF,)
    assert fitting(["one", "one two three four"]) == (BLEU, BLEU_LOWERCASED, CHRF)


def test_an_exact_match_is_letter_for_letter():
    assert exact_match(["a", "B", "c ", "é"], ["a", "b", "c", "é"]) == 0.5
