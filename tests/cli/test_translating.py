"""``unspool train``, ``evaluate`` and ``predict`` with models of pairs."""

import io
import json
import math
import signal
import subprocess
import sys
import time

import pytest

from unspool import runs
from unspool.recipes import recipe


@pytest.fixture(scope="module")
def reverse_run(tmp_path_factory):
    """A run of the letters, short; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "reverse"
    changes = ["data.size=400", "training.epochs=1", "model.hidden_size=8", "decoding.beam=2"]
    runs.train(recipe.load("reverse", changes), folder)
    return folder


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    """Another of the same vocabulary, that says something else; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    changes = ["data.size=400", "training.epochs=1", "model.hidden_size=8", "seed=2"]
    runs.train(recipe.load("reverse", changes), folder)
    return folder


def test_answers_are_printed_a_line_a_text(command, reverse_run, tmp_path):
    (tmp_path / "own.txt").write_text("abcd\n\nhello\n")
    status, out, err = command("predict", reverse_run, tmp_path / "own.txt")
    assert (status, err) == (0, "")
    lines = out.split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    assert command("predict", reverse_run, stdin="abcd\n\nhello\n").out == out
    assert command("predict", reverse_run, "abcd", "hello").out == f"{lines[0]}\n{lines[2]}\n"


class Terminal(io.StringIO):
    """A standard input that is typed."""

    def isatty(self) -> bool:
        return True


def test_only_who_types_is_answered_line_by_line(command, reverse_run, tmp_path, monkeypatch):
    from unspool.tasks.translate.predictor import PairPredictor

    asked, translate = [], PairPredictor.translate

    def counting(self, texts, decoding=None):
        asked.append(len(texts))
        return translate(self, texts, decoding)

    monkeypatch.setattr(PairPredictor, "translate", counting)
    monkeypatch.setattr(io, "StringIO", Terminal)
    (tmp_path / "own.txt").write_text("ab\ncd\nef\n")
    command("predict", reverse_run, tmp_path / "own.txt")
    assert asked == [3]
    command("predict", reverse_run, stdin="ab\ncd\n")
    assert asked == [3, 1, 1, 0]


def test_the_best_answers_are_printed_after_their_scores(command, reverse_run):
    lines = command("predict", reverse_run, "abcd", "--n-best", "3").out.splitlines()
    scores, texts = zip(*(line.split("\t") for line in lines), strict=True)
    assert len(set(texts)) == 3
    assert sorted(map(float, scores), reverse=True) == list(map(float, scores))
    assert command("predict", reverse_run, "abcd", "--top", "3").out.splitlines() == lines


def test_answers_as_an_object(command, reverse_run):
    found = json.loads(command("predict", reverse_run, "abßd", "--beam", "4", "--json").out)
    assert found["task"] == "translate"
    (answer,) = found["predictions"]
    assert (answer["input"], answer["id"], answer["source"]) == ("abßd", "0", "abßd")
    assert answer["unknown"] == ["ß"]
    (best,) = answer["n_best"]
    assert {key: answer[key] for key in best} == best
    assert best["score"] == best["log_probability"] < 0


def test_what_the_vocabulary_lacks_is_told(command, reverse_run):
    status, _, err = command("predict", reverse_run, stdin="ab\na ß\n")
    assert status == 0
    assert err == "standard input, line 2: not in the vocabulary: ' ' ß\n"


def test_several_models_have_a_say(command, reverse_run, other_run):
    def probability(*arguments):
        found = json.loads(command("predict", *arguments, "--json").out)["predictions"][0]
        return found["text"], found["log_probability"]

    alone = probability(reverse_run, "abcd")
    together = probability(reverse_run, "abcd", "--with", other_run)
    assert together != alone
    assert probability(reverse_run, other_run, "abcd") == together
    assert probability(reverse_run, reverse_run, other_run, "abcd") == probability(
        reverse_run, "abcd", "--with", reverse_run, "--with", other_run
    )
    twice = probability(reverse_run, "abcd", "--with", reverse_run / "model")
    assert twice == (alone[0], pytest.approx(alone[1], rel=1e-5))


def test_models_that_have_no_say(command, reverse_run, digits_run, tmp_path):
    def refusal(*arguments):
        status, out, err = command(*arguments)
        assert (status, out) == (1, "")
        return err

    assert f"{digits_run} is a model of task 'classify', expected one of pairs" in refusal(
        "predict", reverse_run, digits_run, "abcd"
    )
    assert "expected models before all texts" in refusal("predict", reverse_run, "a", reverse_run)
    folder = tmp_path / "letters"
    changes = ["data.size=20", "training.epochs=1", "model.hidden_size=8"]
    runs.train(recipe.load("reverse", [*changes, "data.vocabulary.lowercase=true"]), folder)
    for asking in (("predict", reverse_run, "a"), ("evaluate", reverse_run)):
        err = refusal(*asking, "--with", folder)
        assert (
            f"{folder}: model 2 of the ensemble has another source vocabulary than model 1" in err
        )
        assert "it has lowercase and model 1 has not" in err
    assert "--with: not for models of task 'classify'" in refusal(
        "evaluate", digits_run, "--with", reverse_run
    )


def test_a_folder_without_a_model_is_a_text(command, reverse_run, tmp_path):
    status, out, err = command("predict", reverse_run, tmp_path)
    assert (status, out.count("\n")) == (0, 1)
    assert f"{tmp_path} is a folder: read as text" in err


def test_options_of_other_tasks_are_refused(command, reverse_run, digits_run):
    for options in (["--by-step"],):
        status, _, err = command("predict", reverse_run, "abcd", *options)
        assert status == 1
        assert "--by-step: not for models of task 'translate'" in err
    status, _, err = command("predict", digits_run, "x.npy", "--beam", "2", "--n-best", "2")
    assert status == 1
    assert "--beam, --n-best: not for models of task 'classify'; leave that out" in err
    assert "--stride: not for models" in command("evaluate", reverse_run, "--stride", "2").err


def test_a_beam_narrower_than_the_answers_is_refused(command, reverse_run):
    status, _, err = command("predict", reverse_run, "abcd", "--beam", "2", "--n-best", "3")
    assert status == 1
    assert "n_best is 3 and beam is 2" in err
    assert command("predict", reverse_run, "abcd", "--beam", "0").status == 2


def test_evaluation(command, reverse_run):
    status, out, _ = command("evaluate", reverse_run)
    assert status == 0
    lines = out.splitlines()
    assert lines[1].startswith("answers exactly right")  # the figure that suits single words
    assert "BLEU" not in out
    assert "test: perplexity " in out
    assert lines[-2].endswith("nats a character")
    folder = reverse_run / "evaluation-test"
    assert len((folder / "hypotheses.txt").read_text().splitlines()) == 20
    found = json.loads(command("evaluate", reverse_run, "--beam", "3", "--json").out)
    assert (found["decoding"]["beam"], found["sequences"]) == (3, 20)
    assert "nc:6" in found["signatures"]["chrf"]
    assert "bleu" not in found


def test_evaluation_of_several_models(command, reverse_run, other_run):
    one, other, both = (
        json.loads(command("evaluate", *options, "--json").out)
        for options in ((reverse_run,), (other_run,), (reverse_run, "--with", other_run))
    )
    assert both["models"] == 2
    assert "models" not in one
    assert both["perplexity"] == pytest.approx(math.exp(both["loss"]))
    # a mean of probabilities is above the geometric one
    assert both["loss"] < (one["loss"] + other["loss"]) / 2
    assert (reverse_run / "evaluation-test-ensemble" / "report.json").is_file()


def test_evaluation_of_files_of_one_s_own(command, reverse_run, tmp_path):
    ours, theirs = tmp_path / "own.source", tmp_path / "own.target"
    ours.write_text("abc\n\nde\n")
    theirs.write_text("cba\n\ned\n")
    table = tmp_path / "own.tsv"
    table.write_text("source\ttarget\nabc\tcba\n\t\nde\ted\n")
    found = [
        json.loads(command("evaluate", reverse_run, *files, "--json").out)
        for files in (("--data", ours, "--data", theirs), ("--data", table))
    ]
    assert found[0].pop("split") == "own.source"
    assert found[1].pop("split") == "own.tsv"
    assert found[0] == found[1]
    assert (found[0]["sequences"], found[0]["count"]) == (3, 8)
    assert found[0]["exact_match"] >= 1 / 3  # nothing is answered by nothing


def test_files_of_pairs_that_do_not_fit(command, reverse_run, digits_run, tmp_path):
    ours, theirs = tmp_path / "own.source", tmp_path / "own.target"
    ours.write_text("abc\n\nde\n")
    theirs.write_text("cba\n\n")

    def refusal(run, *files):
        answer = command("evaluate", run, *(part for file in files for part in ("--data", file)))
        assert answer.status == 1
        return answer.err

    message = f"{ours} has 3 lines and {theirs} has 2, expected as many"
    assert message in refusal(reverse_run, ours, theirs)
    assert "name both (target_path in a recipe, a second --data)" in refusal(reverse_run, ours)
    assert "--data is given 3 times, expected one, or two" in refusal(reverse_run, *[ours] * 3)
    assert "--data is given 2 times, expected one;" in refusal(digits_run, ours, theirs)


def test_a_part_that_there_is_not(command, reverse_run):
    status, _, err = command("evaluate", reverse_run, "--split", "test_2016_flickr")
    assert status == 1
    assert "no split 'test_2016_flickr', expected one of train, validation, test" in err


# --- large files ---------------------------------------------------------------------------

MANY = [f"{'abcdefghij'[: 1 + number % 9]}{number % 7 * 'z'}" for number in range(600)]


@pytest.fixture
def uninterrupted(command, reverse_run, tmp_path):
    """A large file, and its answers."""
    source = tmp_path / "many.txt"
    source.write_text("".join(f"{text}\n" for text in MANY))
    assert command("predict", reverse_run, source, "--out", tmp_path / "whole.txt").out == ""
    answers = (tmp_path / "whole.txt").read_bytes()
    assert answers.count(b"\n") == len(MANY)
    assert answers.decode() == command("predict", reverse_run, source).out
    return source, answers


def begun(run, out, count, *options) -> subprocess.Popen:
    """A translation that has answered some of ``count`` texts, and waits for more."""
    arguments = ["-m", "unspool", "predict", str(run), "--out", str(out), *options]
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    before = out.stat().st_size if out.exists() else 0
    process.stdin.write("".join(f"{text}\n" for text in MANY[:count]))
    process.stdin.flush()
    while process.poll() is None and not (out.exists() and out.stat().st_size > before):
        time.sleep(0.05)
    return process


def test_an_interrupted_translation_goes_on(command, reverse_run, uninterrupted, tmp_path):
    source, answers = uninterrupted
    out = tmp_path / "answers.txt"
    process = begun(reverse_run, out, 300)  # of which 256 are answered at a time
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.strip() == (
        f"unspool: interrupted; to go on: the same command with --continue, {out} is kept"
    )
    first = out.read_bytes()
    assert answers.startswith(first)
    assert first.count(b"\n") >= 1

    process = begun(reverse_run, out, 580, "--continue")
    process.kill()
    process.communicate()
    second = out.read_bytes()
    assert answers.startswith(second)
    assert len(second) > len(first)

    out.write_bytes(second + answers[len(second) :].partition(b"\n")[0][:1])  # half a line
    refused = command("predict", reverse_run, source, "--out", out)
    assert refused.status == 1
    assert "exists already; go on with an interrupted translation by --continue" in refused.err
    assert command("predict", reverse_run, source, "--out", out, "--continue") == (0, "", "")
    assert out.read_bytes() == answers
    assert command("predict", reverse_run, source, "--out", out, "--continue") == (0, "", "")
    assert out.read_bytes() == answers


def test_an_input_is_not_written_over(command, reverse_run, tmp_path):
    source = tmp_path / "own.txt"
    source.write_text("abc\ndef")
    refused = command("predict", reverse_run, source, "--out", source, "--continue")
    assert refused.status == 1
    assert f"--out {source} is also an input" in refused.err
    assert source.read_text() == "abc\ndef"


def test_several_inputs_are_answered_into_one_file(command, reverse_run, uninterrupted, tmp_path):
    source, answers = uninterrupted
    out = tmp_path / "answers.txt"
    whole = command("predict", reverse_run, "ab", source, "cd").out
    out.write_text(whole[: len(whole) - 9])
    status = command("predict", reverse_run, "ab", source, "cd", "--out", out, "--continue").status
    assert status == 0
    assert out.read_text() == whole
    assert answers.decode() in whole


def test_an_earlier_translation_of_something_else(command, reverse_run, tmp_path):
    out = tmp_path / "answers.txt"
    texts = ("abcd", "hello")
    first, second = command("predict", reverse_run, *texts).out.splitlines()
    for kept, place in (
        ("what\n", "line 1: not what this model answers to abcd,"),
        ("half a line of somebody's own", "line 1: not what this model answers to abcd,"),
        (f"{first}\n{second}!", "line 2: not what this model answers to hello,"),
        (f"{first}\n{second}\nmore", "line 3: not what this model answers to any text of"),
    ):
        out.write_text(kept)
        refused = command("predict", reverse_run, *texts, "--out", out, "--continue")
        assert refused.status == 1
        assert f"{out}, {place}" in refused.err
        assert out.read_text() == kept
    out.write_text(f"{first}\n{second}")
    assert command("predict", reverse_run, *texts, "--out", out, "--continue") == (0, "", "")
    assert out.read_text() == f"{first}\n{second}\n"
    for stdin in (True, False):
        asked = {"stdin": "abcd\n"} if stdin else {}
        fewer = () if stdin else texts[:1]
        answer = command("predict", reverse_run, *fewer, "--out", out, "--continue", **asked)
        assert answer.status == 1
        assert f"{out} has 2 lines and the input has 1, expected no more" in answer.err


def test_a_line_that_tipped_over_may_be_removed(command, reverse_run, tmp_path):
    out = tmp_path / "answers.txt"
    texts = ("abcd", "hello", "word")
    lines = command("predict", reverse_run, *texts).out.splitlines(keepends=True)
    out.write_text(lines[0] + "!\n")
    refused = command("predict", reverse_run, *texts, "--out", out, "--continue")
    assert "line 2: not what this model answers to hello," in refused.err
    assert "remove the line and what follows to have them answered anew" in refused.err
    out.write_text(lines[0])
    assert command("predict", reverse_run, *texts, "--out", out, "--continue") == (0, "", "")
    assert out.read_text() == "".join(lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x" * 300], "cannot be read: File name too long; choose another --out"),
        (["--continue"], "expected --out FILE beside it"),
        (["--out", "x.txt", "--json"], "leave out --json or --out"),
        (["--out", "x.txt", "--continue", "--n-best", "2"], "leave out --continue or --n-best"),
        (["--out", "no/x.txt"], "no/x.txt cannot be written: No such file or directory"),
        (["--out", "."], "is a folder, expected a file"),
    ],
)
def test_answers_that_cannot_be_written_so(
    command, reverse_run, options, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, out, err = command("predict", reverse_run, "abcd", *options)
    assert (status, out) == (1, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_answers_of_several_to_a_text_are_written_as_they_are_printed(
    command, reverse_run, tmp_path
):
    options = ("abcd", "", "--n-best", "2")
    assert command("predict", reverse_run, *options, "--out", tmp_path / "x").status == 0
    assert (tmp_path / "x").read_text() == command("predict", reverse_run, *options).out


def test_a_bar_on_a_terminal(command, reverse_run, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "many.txt").write_text("".join(f"{text}\n" for text in (*MANY, "ß")))
    status, out, err = command("predict", reverse_run, tmp_path / "many.txt")
    assert (status, out.count("\n")) == (0, 601)
    assert "texts/s" in err
    assert "601" in err
    assert "line 601: not in the vocabulary: ß" in err


def test_pairs_that_are_left_out_are_told_before_the_first_epoch(command, tmp_path):
    changes = ("data.size=200", "data.max_source_length=8", "training.epochs=1")
    sets = [part for change in changes for part in ("--set", change)]
    err = command("train", "reverse", *sets, "--out", tmp_path / "run").err
    notes, epoch = err.splitlines()[:2], err.splitlines()[2]
    assert [note.split(": ")[0] for note in notes] == ["train", "validation"]
    assert all(note.endswith(" too long") for note in notes)
    assert epoch.startswith("epoch 1/1")
