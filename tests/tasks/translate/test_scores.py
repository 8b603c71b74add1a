import subprocess
import sys

import pytest

from unspool.tasks.translate.scores import BLEU, BLEU_LOWERCASED, CHRF, scores

OURS = ["Two dogs are running across the grass.", "A man, sitting on a bench, reads.", "Nothing"]
THEIRS = ["Two dogs run across the green grass.", "a man sits on a bench and reads .", "A child"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (BLEU, ["--metrics", "bleu"]),
        (CHRF, ["--metrics", "chrf"]),
        (BLEU_LOWERCASED, ["--metrics", "bleu", "--lowercase"]),
    ],
)
def test_the_figures_are_those_of_sacrebleu_s_own_command(name, options, tmp_path):
    for file, texts in (("ours", OURS), ("theirs", THEIRS)):
        (tmp_path / file).write_text("".join(f"{text}\n" for text in texts))
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "theirs"), "-b", "-w", "6"]
    ours = ["-i", str(tmp_path / "ours")]
    printed = subprocess.run([*command, *ours, *options], capture_output=True, check=True)
    found = scores(OURS, THEIRS)[name]
    assert found.value == pytest.approx(float(printed.stdout), abs=1e-6)
    assert found.value > 1


def test_signatures_tell_the_variants_apart():
    found = scores(OURS, THEIRS)
    assert "case:mixed" in found[BLEU].signature
    assert "case:lc" in found[BLEU_LOWERCASED].signature
    assert "nc:6" in found[CHRF].signature
    assert all("version:" in score.signature for score in found.values())
