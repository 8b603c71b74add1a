"""Language models on the command line: train, evaluate, predict, generate."""

import json
import math

import pytest


def failure(answer) -> str:
    assert answer.status == 1
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    return answer.err


# --- evaluate ------------------------------------------------------------------------------


def test_windows_are_judged(command, fable_run):
    status, out, _ = command("evaluate", fable_run, "--split", "train")
    assert status == 0
    assert "guessed right of the 225 windows that occur once" in out
    assert "train: perplexity " in out
    found = json.loads(command("evaluate", fable_run, "--split", "train", "--json").out)
    assert found["count"] == 235
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert set(found["unambiguous"]) == {"count", "accuracy"}
    wide = command("evaluate", fable_run, "--split", "train", "--stride", "4", "--json")
    assert json.loads(wide.out)["count"] == 235


def test_streams_are_judged(command, stream_run):
    plain, batched, cached, dynamic = (
        json.loads(command("evaluate", stream_run, *options, "--json").out)
        for options in (
            [],
            ["--batch-size", "3"],
            ["--cache", "50", "--cache-weight", "0.2", "--cache-flatness", "1"],
            ["--dynamic", "0.5", "--dynamic-decay", "0.01"],
        )
    )
    assert batched["perplexity"] == pytest.approx(plain["perplexity"], rel=1e-4)
    assert cached["loss"] != plain["loss"] != dynamic["loss"]
    assert len({found["count"] for found in (plain, batched, cached, dynamic)}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cache-weight", "0.2"], "--cache-weight without --cache, expected both; add --cache"),
        (["--cache", "5", "--cache-weight", "2"], "--cache-weight = 2.0, expected less than 1"),
        (["--cache", "0"], ": --cache = 0, expected greater than or equal to 1"),
        (["--dynamic", "0"], ": --dynamic = 0.0, expected greater than 0"),
        (["--stride", "2"], "stride is for models of windows, this one reads streams"),
        (["--by-step"], "leave out by-step"),
    ],
)
def test_options_that_make_no_sense(command, stream_run, options, message):
    assert message in failure(command("evaluate", stream_run, *options))


def test_options_of_text_are_not_for_classifiers(command, digits_run):
    answer = command("evaluate", digits_run, "--stride", "2", "--cache", "9")
    assert "--stride, --cache: not for models of task 'classify'" in failure(answer)


def test_an_own_text(command, fable_run, tmp_path):
    (tmp_path / "own.txt").write_text("the mice of an old mill\n")
    assert (
        "own.txt: perplexity" in command("evaluate", fable_run, "--data", tmp_path / "own.txt").out
    )
    (tmp_path / "own.txt").write_bytes(b"")
    answer = command("evaluate", fable_run, "--data", tmp_path / "own.txt")
    assert "holds no text, expected at least a word" in failure(answer)


# --- predict -------------------------------------------------------------------------------


def test_candidates_with_their_probabilities(command, fable_run):
    status, out, err = command("predict", fable_run, "the mice of", "--top", "5")
    assert (status, err) == (0, "")
    assert out.startswith("the mice of[0]  ")
    assert out.count("%") == 5
    found = json.loads(command("predict", fable_run, "the mice of", "--top", "5", "--json").out)
    assert found["task"] == "predict"
    assert len(found["predictions"][0]["top"]) == 5
    many = command("predict", fable_run, "the", "", "--json")
    assert len(json.loads(many.out)["predictions"]) == 2


def test_unknown_words_are_told(command, fable_run):
    answer = command("predict", fable_run, "the dog")
    assert answer.status == 0
    assert answer.err == "not in the vocabulary: dog\n"


def test_what_may_be_a_mistyped_file_is_told(command, fable_run, tmp_path):
    for name in ("letters.txt", tmp_path / "letters.jsonl"):
        answer = command("predict", fable_run, name)
        assert answer.status == 0
        assert f"no file {name}: read as text\n" in answer.err
    (tmp_path / "letters.txt").write_text("the mice\n")
    for text in (tmp_path / "letters.txt", "the mice.", "the", "mill.txt was the"):
        assert "no file" not in command("predict", fable_run, text).err


def test_standard_input_holds_a_text_a_line(command, fable_run):
    lines = command("predict", fable_run, stdin="the mice\nof an\n").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["standard input[0]", "standard input[1]"]
    assert "after step   2  " in command("predict", fable_run, "the mice", "--by-step").out


@pytest.mark.parametrize("top", ["0", "-1"])
def test_no_candidates_cannot_be_asked_for(command, fable_run, top):
    answer = command("predict", fable_run, "the", "--top", top)
    assert answer.status == 2
    assert "--top" in answer.err


def test_characters_that_nobody_sees_are_quoted(command, tmp_path):
    from unspool import runs
    from unspool.recipes import recipe

    changes = ["data.vocabulary.unit=character", "training.epochs=1", "model.hidden_size=4"]
    runs.train(recipe.load("fable", changes), tmp_path / "R")
    out = command("predict", tmp_path / "R", "the", "--top", "99").out
    assert "' ' " in out
    assert "'\\n' " in out
    assert len(out.splitlines()) == 1


# --- generate ------------------------------------------------------------------------------


def test_a_text_is_written_on(command, fable_run):
    first = command(
        "generate", fable_run, "--prompt", "the mice of", "--length", "9", "--seed", "4"
    )
    assert first.status == 0
    assert first.out.startswith("the mice of")
    assert first.out.endswith("\n")
    again = command(
        "generate", fable_run, "--prompt", "the mice of", "--length", "9", "--seed", "4"
    )
    assert again.out == first.out
    other = command(
        "generate", fable_run, "--prompt", "the mice of", "--length", "9", "--seed", "5"
    )
    assert other.out != first.out


def test_the_prompt_may_come_by_standard_input(command, stream_run):
    seeded = ["--length", "5", "--seed", "1"]
    piped = command("generate", stream_run, "--prompt", "-", *seeded, stdin="the mice\n")
    assert piped.out == command("generate", stream_run, "--prompt", "the mice", *seeded).out
    assert command("generate", stream_run, *seeded).out.split()


def test_it_may_be_told_how_to_draw(command, fable_run):
    greedy = command("generate", fable_run, "--temperature", "0", "--length", "5")
    narrow = command("generate", fable_run, "--top-k", "1", "--length", "5")
    assert greedy.out == narrow.out
    for options in (
        ["--top-p", "0.5"],
        ["--typical", "0.5"],
        ["--repetition-penalty", "2"],
        ["--stop", "the", "--stop", "."],
    ):
        assert command("generate", fable_run, "--length", "5", *options).status == 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--temperature", "-1"], 2, "--temperature"),
        (["--top-k", "0"], 2, "--top-k"),
        (["--length", "0"], 2, "--length"),
        (["--top-p", "0"], 1, "--top-p = 0.0, expected greater than 0"),
        (["--typical", "0"], 1, "--typical = 0.0, expected greater than 0"),
        (["--stop", "xyzzy"], 1, "the stop word 'xyzzy' is not in the vocabulary"),
        (["--stop", ""], 1, "the stop word '' is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(command, fable_run, options, status, message):
    answer = command("generate", fable_run, *options)
    assert answer.status == status
    assert message in answer.err


def test_unknown_words_of_a_prompt_are_told(command, fable_run):
    answer = command("generate", fable_run, "--prompt", "a dog and a dog", "--length", "2")
    assert answer.err == "not in the vocabulary: dog\n"
    assert answer.out.startswith("a dog and a dog")


def test_nothing_is_written_before_a_failure(command, fable_run):
    answer = command("generate", fable_run, "--prompt", "the mice", "--stop", "xyzzy")
    assert "'xyzzy' is not in the vocabulary" in failure(answer)


def test_a_prompt_that_is_no_utf8_is_refused(command, fable_run):
    escaped = "the \udcff"  # as Python reads the byte 0xff in some locales
    message = failure(command("generate", fable_run, "--prompt", escaped))
    assert "half of a surrogate pair" in message
    message = failure(command("generate", fable_run, "--prompt", "-", stdin=escaped))
    assert "standard input, byte 4 (from 0): found 0xff, expected UTF-8 text" in message


def test_a_classifier_does_not_write(command, digits_run):
    message = failure(command("generate", digits_run))
    assert "is a model of task 'classify', expected one that writes" in message


# --- a run ---------------------------------------------------------------------------------


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path):
    import safetensors.torch

    from unspool import runs
    from unspool.recipes import recipe
    from unspool.training.report import Observer

    class Stop(Observer):
        def stepped(self, state, totals):
            if state.progress.step == 9:
                raise KeyboardInterrupt

    changes = [
        "view=streams",
        "steps=8",
        "training.epochs=3",
        "training.batch_size=4",
        "model.hidden_size=8",
        "model.dropout.inputs=0.3",
        "model.dropout.weights=0.3",
        "data.validation=0.2",
    ]
    named = recipe.load("fable", changes)
    runs.train(named, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        runs.train(named, tmp_path / "parts", observers=[Stop()])
    runs.resume(tmp_path / "parts")
    whole, parts = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in sorted((tmp_path / name).rglob("*.safetensors"))
        }
        for name in ("whole", "parts")
    )
    assert whole == parts
    newest = sorted((tmp_path / "whole" / "checkpoints").iterdir())[-1]
    state = safetensors.torch.load_file(newest / "state.safetensors")
    assert state["task.0.h"].shape == (1, 4, 8)


@pytest.mark.parametrize(
    "text", ["\ufeffthe mice\r\nof an\u2028\x0c\x85end\n", "\ufeffthe mice\n\n"]
)
def test_standard_input_is_read_as_a_file_is(command, fable_run, tmp_path, text):
    (tmp_path / "lines.txt").write_bytes(text.encode())
    of_file = json.loads(command("predict", fable_run, tmp_path / "lines.txt", "--json").out)
    of_stream = json.loads(command("predict", fable_run, "--json", stdin=text).out)
    assert len(of_file["predictions"]) == 2
    for one, other in zip(of_file["predictions"], of_stream["predictions"], strict=True):
        assert {**one, "input": ""} == {**other, "input": ""}
    first = of_file["predictions"][0]
    assert "unknown" not in first
    (whole,) = json.loads(command("predict", fable_run, "the mice", "--json").out)["predictions"]
    assert {**first, "input": ""} == {**whole, "input": ""}
