import io
import itertools
import json
import re

import pytest
import torch

from unspool.data.text_source import TextDataSettings
from unspool.data.vocabulary import Vocabulary, VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.decoding.sampling import SamplingSettings
from unspool.errors import DataError, ModelFolderError
from unspool.models.language_model import LanguageModelSettings
from unspool.tasks import model_folder
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.predict.writing import Writing


@pytest.fixture
def predictor(make_predict):
    return make_predict(cell="lstm", num_layers=2).predictor


@pytest.fixture
def of_windows(make_predict):
    return make_predict(view="windows", context=3).predictor


def predictor_of(unit: str, **settings) -> TextPredictor:
    vocabulary = fit(
        ["the cat saw\nñ 😀 the mouse\n" * 3], VocabularySettings(unit=unit, **settings)
    )
    return TextPredictor.untrained(vocabulary, LanguageModelSettings(hidden_size=5), 1)


def answer(predictor, source, top=3, by_step=False):
    (found,) = predictor.answers(source, top, by_step)
    return found


def written(predictor, prompt="", length=8, seed=1, stop=(), **sampling) -> str:
    pieces = predictor.write(
        prompt, SamplingSettings(**sampling), length=length, seed=seed, stop=stop
    )
    return "".join(pieces)


# --- what comes next -----------------------------------------------------------------------


def test_to_answer_after_a_text_is_to_read_it_step_by_step(predictor):
    text = "the cat sees a mouse"
    found = answer(predictor, text, top=99)
    assert (found["input"], found["id"]) == (text, "0")
    assert len(found["top"]) == len(predictor.vocabulary)
    assert sum(rank["probability"] for rank in found["top"]) == pytest.approx(1)
    state = None
    with torch.no_grad():
        for token in [predictor.vocabulary.start, *predictor.vocabulary.encode(text).tolist()]:
            log_probabilities, state = predictor.model.step(torch.tensor([token]), state)
    belief = log_probabilities[0].exp()
    tokens = predictor.vocabulary.tokens
    for rank in found["top"]:
        index = tokens.index(rank["label"])
        assert rank["probability"] == pytest.approx(float(belief[index]), rel=1e-5)
    steps = answer(predictor, text, by_step=True)["by_step"]
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5]
    assert steps[-1]["top"][0]["label"] == found["label"]
    assert steps[-1]["top"][0]["probability"] == pytest.approx(found["probability"], rel=1e-5)
    shorter = answer(predictor, "the cat")
    assert steps[1]["top"][0]["probability"] == pytest.approx(shorter["probability"], rel=1e-5)


def test_reading_may_go_on_from_a_place(predictor, of_windows):
    for one in (predictor, of_windows):
        whole = one.read("the cat sees a mouse")
        begun = one.read("the cat")
        parts = one.read("a mouse", one.read("", one.read("sees", begun)))
        torch.testing.assert_close(parts.log_probabilities, whole.log_probabilities)
        torch.testing.assert_close(
            one.read("sees", begun).log_probabilities, one.read("the cat sees").log_probabilities
        )


def test_windows_look_at_their_context_alone(of_windows):
    long = answer(of_windows, "and and sleeps the cat sees")
    assert long["top"] == answer(of_windows, "the cat sees")["top"]
    assert answer(of_windows, "cat sees")["top"] != long["top"]  # a shorter one is read as it is


def test_an_empty_text_is_the_beginning_of_one(predictor, of_windows):
    for one in (predictor, of_windows):
        found = answer(one, "")
        start = one.vocabulary.tokens[one.vocabulary.start]
        assert start == "<eos>"
        with torch.no_grad():
            place, _ = one.reader.step(torch.tensor([one.vocabulary.start]), _nothing(one))
        assert found["probability"] == pytest.approx(float(place.exp().max()), rel=1e-5)


def _nothing(predictor):
    return torch.zeros(1, 0, dtype=torch.int64) if predictor.view == "windows" else None


def test_unknown_words_are_told_and_read_as_unknown(predictor):
    found = answer(predictor, "the dog sees the dog and Katze")
    assert found["unknown"] == ["dog", "Katze"]
    assert found["top"] == answer(predictor, "the <unk> sees the <unk> and <unk>")["top"]
    assert "unknown" not in answer(predictor, "the cat <unk>")
    assert predictor_of("byte").unknown("Ä 😀") == []
    assert predictor_of("character").unknown("caß") == ["ß"]


def test_lines_of_a_file_and_of_standard_input(predictor, tmp_path):
    (tmp_path / "own.txt").write_text("the cat\na mouse\n")
    expected = [answer(predictor, text)["top"] for text in ("the cat", "a mouse")]
    found = list(predictor.answers(str(tmp_path / "own.txt"), 3, False))
    assert [one["top"] for one in found] == expected
    assert [(one["input"], one["id"]) for one in found] == [
        (str(tmp_path / "own.txt"), "0"),
        (str(tmp_path / "own.txt"), "1"),
    ]
    found = list(predictor.answers(io.StringIO("the cat\na mouse"), 3, False))
    assert [one["top"] for one in found] == expected
    assert answer(predictor, io.StringIO(""))["top"] == answer(predictor, "")["top"]


def test_documents_of_a_json_lines_file(predictor, tmp_path):
    predictor.data = TextDataSettings(path="own.jsonl", field="body")
    texts = ["the cat", "a mouse\nsees the", "the"]
    rows = [json.dumps({"body": text}) for text in texts]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    found = list(predictor.answers(str(tmp_path / "own.jsonl"), 3, False))
    assert [one["top"] for one in found] == [answer(predictor, text)["top"] for text in texts]
    assert [one["id"] for one in found] == ["0", "1", "2"]


def test_text_that_is_no_utf8_is_refused_by_its_position(predictor, tmp_path):
    (tmp_path / "own.txt").write_bytes(b"the \xff")
    with pytest.raises(DataError, match=r"own.txt, byte 4 \(from 0\): found 0xff, expected UTF-8"):
        answer(predictor, str(tmp_path / "own.txt"))
    for errors in ("strict", "surrogateescape"):  # Python's choice depends on the locale
        stream = io.TextIOWrapper(io.BytesIO(b"\xc3\xa4 \xff"), encoding="utf-8", errors=errors)
        with pytest.raises(DataError, match=r"standard input, byte 3 \(from 0\): found 0xff, exp"):
            answer(predictor, stream)


def test_a_text_too_long_for_a_file_s_name_is_a_text(predictor):
    assert answer(predictor, "the cat " * 1000)["top"]


# --- writing -------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_one_seed_gives_one_text_whatever_is_written_beside_it(make_predict, view):
    predictor = make_predict(view=view, cell="gru").predictor
    place = predictor.read("the cat")

    def rows(count):
        drawn = predictor.draw(place, SamplingSettings(), length=12, seed=3, count=count)
        return torch.stack(list(drawn), 1)

    many = rows(8)
    assert torch.equal(rows(1), many[:1])
    assert torch.equal(rows(5), many[:5])
    assert len(many.unique(dim=0)) > 1
    assert written(predictor, "the cat", 12, seed=3).split() == [
        predictor.vocabulary.tokens[int(token)] for token in many[0] if int(token) != 1
    ]
    assert written(predictor, "the cat", 12, seed=4) != written(predictor, "the cat", 12, seed=3)


def test_unknown_is_never_written(predictor):
    torch.nn.init.constant_(predictor.model.output.bias, 0)
    predictor.model.output.bias.data[predictor.vocabulary.unknown] = 100
    assert "<unk>" not in written(predictor, length=50)


def test_the_caller_s_mode_is_left_alone_between_two_pieces(predictor):
    predictor.model.train()
    pieces = predictor.write("", SamplingSettings(), length=3, seed=1)
    next(pieces)
    assert predictor.model.training
    assert not torch.is_inference_mode_enabled()


def test_it_ends_after_a_stop_word(predictor):
    free = written(predictor, length=60).replace("\n", " ").split(" ")
    word = next(word for word in free[3:] if word)
    found = written(predictor, length=60, stop=[word])
    assert found.split()[-1] == word
    assert found.split().count(word) == 1
    lines = written(predictor, length=200, stop=["\n"])
    assert lines.endswith("\n")
    assert lines.count("\n") == 1


def test_words_are_joined_as_they_are_written():
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", "<eos>", "a", "b"], end_of_sentence=True)
    for prompt, expected in (("", "a b\na"), ("a", " a b\na"), ("a ", "a b\na"), ("a\n", "a b\na")):
        writing = Writing(vocabulary, prompt)
        assert "".join(map(writing.add, [2, 3, 1, 2])) == expected


@pytest.mark.parametrize("unit", ["byte", "bpe", "character"])
def test_text_of_any_tokens_comes_out_whole(unit):
    vocabulary = predictor_of(unit, **({"size": 262} if unit == "bpe" else {})).vocabulary
    text = "cat ñ 😀\nthe"
    writing = Writing(vocabulary, "", ["ñ 😀"])
    pieces = []
    for token in vocabulary.encode(text).tolist():
        pieces.append(writing.add(token))
        if writing.ended:
            break
    assert "".join(pieces) == "cat ñ 😀"
    assert "�" not in "".join(pieces)


def test_bytes_that_are_no_character_do_not_stop_the_text():
    vocabulary = predictor_of("byte").vocabulary
    writing = Writing(vocabulary, "")
    assert "".join(map(writing.add, [0xFF, *b"abc"])) == "�abc"


@pytest.mark.parametrize(
    ("stop", "message"),
    [("", "stop word '' is empty"), (" ", "stop word ' ' is empty"), ("dog", "'dog' is not in")],
)
def test_stop_words_that_could_never_come(predictor, stop, message):
    with pytest.raises(DataError, match=message):
        predictor.write("the", SamplingSettings(), length=3, seed=1, stop=[stop])  # before a word


# --- the model folder ----------------------------------------------------------------------


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_a_model_comes_back(make_predict, text_division, tmp_path, same_weights, view):
    predictor = make_predict(view=view, tie_weights=True, embedding_size=4, context=2).predictor
    predictor.data = TextDataSettings(name="fable")
    model_folder.save(predictor, tmp_path / "model", "card")
    loaded = model_folder.load(tmp_path)
    assert isinstance(loaded, TextPredictor)
    assert same_weights(loaded.model, predictor.model)
    assert loaded.vocabulary.tokens == predictor.vocabulary.tokens
    assert (loaded.view, loaded.context, loaded.data) == (view, 2, predictor.data)
    assert answer(loaded, "the cat") == answer(predictor, "the cat")
    assert loaded.evaluate(text_division.training, "text") == predictor.evaluate(
        text_division.training, "text"
    )


@pytest.mark.parametrize("settings", [{}, {"adaptive_softmax": (4, 6), "hidden_size": 16}])
def test_it_describes_itself(make_predict, tmp_path, settings):
    predictor = make_predict(**settings).predictor
    summary = predictor.summary()
    assert re.match(r"A network of 1 LSTM layer of \d+ units \([\d,]+ parameters\) that ", summary)
    assert summary.endswith("that reads a text and says which of 9 words comes next.")
    model_folder.save(predictor, tmp_path / "model", "card")
    assert answer(model_folder.load(tmp_path), "cat") == answer(predictor, "cat")


def test_a_folder_without_its_vocabulary_is_refused(predictor, tmp_path):
    model_folder.save(predictor, tmp_path / "model", "card")
    (tmp_path / "model" / "vocabulary.json").unlink()
    with pytest.raises(ModelFolderError, match=r"model: lacks vocabulary.json, expected beside"):
        model_folder.load(tmp_path)


def test_a_vocabulary_of_another_size_is_refused(predictor, tmp_path):
    model_folder.save(predictor, tmp_path / "model", "card")
    predictor_of("byte").vocabulary.save(tmp_path / "model" / "vocabulary.json")
    with pytest.raises(ModelFolderError, match=r"has shape \[9, 6\], expected \[256, 6\]"):
        model_folder.load(tmp_path)
    (tmp_path / "model" / "vocabulary.json").write_text("{}")
    with pytest.raises(ModelFolderError, match=r"vocabulary.json"):
        model_folder.load(tmp_path)


def test_a_vocabulary_where_none_belongs_is_refused(make_task, predictor, tmp_path):
    model_folder.save(make_task().predictor, tmp_path / "model", "card")
    predictor.vocabulary.save(tmp_path / "model" / "vocabulary.json")
    with pytest.raises(ModelFolderError, match=r"model: holds vocabulary.json, expected none"):
        model_folder.load(tmp_path)


def test_a_file_is_judged_by_the_model_s_own_vocabulary(predictor, tmp_path, monkeypatch):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.txt").write_text("the dog sees\n")
    corpus = predictor.read_file(tmp_path / "own.txt")
    assert corpus.tokens.tolist() == predictor.vocabulary.encode("the <unk> sees\n").tolist()


def test_labels_of_tokens():
    assert predictor_of("word").label(1) == "<eos>"
    letters = predictor_of("character")
    assert "\n" in {letters.label(i) for i in range(len(letters.vocabulary))}
    assert predictor_of("byte").label(ord("a")) == "a"
    assert list(itertools.islice(map(predictor_of("byte").label, [0xFF]), 1)) == ["�"]
