"""``unspool train``, ``evaluate`` and ``predict`` with models of pairs."""

import json

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


def test_answers_are_printed_a_line_a_text(command, reverse_run, tmp_path):
    (tmp_path / "own.txt").write_text("abcd\n\nhello\n")
    status, out, err = command("predict", reverse_run, tmp_path / "own.txt")
    assert (status, err) == (0, "")
    lines = out.split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    assert command("predict", reverse_run, stdin="abcd\n\nhello\n").out == out
    assert command("predict", reverse_run, "abcd", "hello").out == f"{lines[0]}\n{lines[2]}\n"


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


def test_several_models_have_a_say(command, reverse_run, digits_run):
    alone = command("predict", reverse_run, "abcd").out
    assert command("predict", reverse_run, "abcd", "--with", reverse_run).out == alone
    status, _, err = command("predict", reverse_run, "abcd", "--with", digits_run)
    assert status == 1
    assert "is a model of task 'classify', expected one of pairs" in err


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
    assert "answers exactly right" in out
    assert "test: perplexity " in out
    assert out.splitlines()[-2].endswith("nats a character")
    folder = reverse_run / "evaluation-test"
    assert len((folder / "hypotheses.txt").read_text().splitlines()) == 20
    found = json.loads(command("evaluate", reverse_run, "--beam", "3", "--json").out)
    assert (found["decoding"]["beam"], found["sequences"]) == (3, 20)
    assert "tok:13a" in found["signatures"]["bleu"]


def test_a_part_that_there_is_not(command, reverse_run):
    status, _, err = command("evaluate", reverse_run, "--split", "test_2016_flickr")
    assert status == 1
    assert "no split 'test_2016_flickr', expected one of train, validation, test" in err
