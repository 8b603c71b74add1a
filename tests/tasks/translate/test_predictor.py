import dataclasses
import io
import json

import pytest
import torch

from unspool.data.pair_corpus import PairCorpus
from unspool.data.pairs import PairColumns, Pairs
from unspool.decoding.hypotheses import Hypothesis
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError, ModelFolderError
from unspool.nn import levels
from unspool.tasks import model_card, model_folder
from unspool.tasks.translate import predictor as predictor_module
from unspool.tasks.translate.predictor import PairPredictor, replaced
from unspool.tasks.translator import texts_of

from .conftest import divided, pairs_of

SOURCES = ["one two three", "five", "", "four four one", "two"]
TARGETS = ["un deux trois", "cinq", "", "quatre quatre un", "deux"]


def texts(found) -> list[list[str]]:
    return [[one.text for one in of_one] for of_one in found]


# --- answers -------------------------------------------------------------------------------


def test_what_was_learned_is_answered_in_the_order_that_was_asked(trained):
    assert texts(trained.translate(SOURCES)) == [[target] for target in TARGETS]


def test_answers_do_not_depend_on_what_shares_the_batch(make_translate):
    predictor = make_translate(cell="lstm", seed=3).predictor
    sources = pairs_of(40, 5).sources
    together = predictor.translate(sources, BeamSettings(beam=3, n_best=3, max_length=9))
    for source, found in zip(sources, together, strict=True):
        (alone,) = predictor.translate([source], BeamSettings(beam=3, n_best=3, max_length=9))
        assert [one.text for one in alone] == [one.text for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found])


@pytest.mark.skipif(not levels.names(), reason="there is no native kernel")
@pytest.mark.parametrize("attention", ["none", "additive", "multiplicative"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_with_native_kernels_no_bit_does(make_translate, attention, bidirectional):
    predictor = make_translate(
        attention=attention, bidirectional=bidirectional, hidden_size=24, num_decoder_layers=2
    ).predictor
    sources = pairs_of(40, 5).sources
    asked = BeamSettings(beam=2, max_length=9)
    together = predictor.translate(sources, asked)
    for part in (slice(0, 1), slice(3, 5), slice(7, 30)):
        some = predictor.translate(sources[part], asked)
        assert [one.score for (one,) in some] == [one.score for (one,) in together[part]]


def test_greedy_search_is_a_beam_of_one(make_translate):
    predictor = make_translate(seed=3).predictor
    found = predictor.translate(SOURCES, BeamSettings(beam=1, max_length=7))
    for source, (one,) in zip(SOURCES, found, strict=True):
        if source:
            assert one.text == by_hand(predictor, source, 7)


def by_hand(predictor: PairPredictor, source: str, longest: int) -> str:
    model, (reads, writes) = predictor.model, predictor.codecs
    tokens, last = [], 1
    with predictor.answering():
        row = torch.tensor([[*reads.encode(source).tolist(), 2]])
        state = model.initial_state(model.encode(row))
        while len(tokens) < longest:
            belief, state = model.step(torch.tensor([last]), state)
            belief[:, :2] = -torch.inf
            last = int(belief.argmax())
            if last == 2:
                break
            tokens.append(last)
    return writes.decode(tokens)


def test_nothing_is_answered_by_nothing(trained):
    for source in ("", "   "):
        ((found,),) = trained.translate([source])
        assert (found.text, found.finished, found.score) == ("", True, 0.0)
    assert trained.translate([]) == []


def test_attention_is_given_where_there_is_some(trained, make_translate):
    ((found,),) = trained.translate(["one two three"])
    assert found.attention.shape == (3, 4)  # the source's end is looked at, too
    torch.testing.assert_close(found.attention.sum(1), torch.ones(3))
    ((without,),) = make_translate(attention="none").predictor.translate(["one"])
    assert without.attention is None


def test_unknown_words_are_copied_from_what_was_looked_at(trained, monkeypatch):
    """Of the source "two Ecce Homo", its end last: where the weights are greatest."""
    unknown, (two,) = trained.codecs.target.unknown, trained.codecs.target.encode("deux").tolist()
    attention = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.5, 0.2, 0.2], [0.7, 0.1, 0.1, 0.1]])
    found = Hypothesis((unknown, unknown, two), -1.0, -1.0, True, attention)
    monkeypatch.setattr(predictor_module, "write", lambda *_: [[found]])
    ((answer,),) = trained.translate(["two Ecce Homo"])
    assert answer.text == "Homo Ecce deux"
    monkeypatch.setattr(
        predictor_module, "write", lambda *_: [[dataclasses.replace(found, attention=None)]]
    )
    ((answer,),) = trained.translate(["two Ecce Homo"])
    assert answer.text == "<unk> <unk> deux"
    assert trained.unknown("two Ecce five Ecce Homo") == ["Ecce", "Homo"]


def test_answers_as_every_task_gives_them(trained):
    (answer,) = trained.answers("two five", 3, by_step=False)
    assert (answer["input"], answer["id"], answer["label"]) == ("two five", "0", "deux cinq")
    assert len(answer["top"]) == 3
    shares = [rank["probability"] for rank in answer["top"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    found = list(trained.answers(io.StringIO("one\n\nsix two\n"), 1, by_step=False))
    assert [one["id"] for one in found] == ["0", "1", "2"]
    assert [one["label"] for one in found[:2]] == ["un", ""]
    assert found[2]["unknown"] == ["six"]
    with pytest.raises(DataError, match="no belief by step"):
        next(trained.answers("one", 1, by_step=True))


def test_a_stream_is_answered_while_it_is_read(trained):
    asked = []

    def slowly():
        for text in SOURCES:
            asked.append(text)
            yield text

    found = []
    for text, (best, *_) in trained.stream(slowly(), at_a_time=2):
        found.append((text, best.text))
        assert len(asked) <= 2 * ((len(found) + 1) // 2)
    assert found == list(zip(SOURCES, TARGETS, strict=True))


# --- inputs --------------------------------------------------------------------------------


def test_texts_are_lines_and_a_line_ends_at_a_line_feed_alone(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("one\u2028two\n\nthree\x0b\n", newline="")
    assert list(texts_of(str(path))[1]) == ["one\u2028two", "", "three"]
    assert list(texts_of(io.StringIO(path.read_text()))[1]) == ["one\u2028two", "", "three"]
    assert list(texts_of(" one two ")[1]) == ["one two"]
    path.write_text("")
    assert list(texts_of(str(path))[1]) == []


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_white_space_and_a_byte_order_mark_are_no_part_of_a_text(tmp_path, newline):
    path = tmp_path / "own.txt"
    path.write_text("\ufeff one\n\n \t \ntwo\n", newline=newline)
    expected = ["one", "", "", "two"]
    assert list(texts_of(str(path))[1]) == expected
    with path.open(encoding="utf-8", newline="") as stream:
        assert list(texts_of(stream)[1]) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.csv", "source\none\ntwo\n"),
        ("own.tsv", "id\tsource\ttarget\n1\tone\t\n2\ttwo\tb\n"),
        ("own.jsonl", '\ufeff{"source": "one"}\n{"source": "two"}\n'),
    ],
)
def test_of_a_table_the_sources_are_answered(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert list(texts_of(str(path))[1]) == ["one", "two"]
    with pytest.raises(DataError, match=r"no column.*'english'"):
        texts_of(str(path), PairColumns(source="english"))


def test_bytes_that_are_no_text_are_named(tmp_path):
    stream = io.TextIOWrapper(io.BytesIO(b"one\n\xff\n"), "utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=r"standard input, line 2, byte 0 .*found 0xff"):
        list(texts_of(stream)[1])
    strict = io.TextIOWrapper(io.BytesIO(b"one\n\xff\n"), "utf-8")
    with pytest.raises(DataError, match=r"standard input, byte 4 .*found 0xff"):
        list(texts_of(strict)[1])


# --- several networks ----------------------------------------------------------------------


def test_one_network_twice_says_what_it_says_once(make_translate):
    predictor, other = make_translate(seed=3).predictor, make_translate(seed=3).predictor
    decoding = BeamSettings(beam=2, max_length=8)
    alone = predictor.translate(SOURCES, decoding)
    loss = predictor.judge(divided(pairs_of(9, 4)).training, "pairs").loss
    predictor.join([other])
    together = predictor.translate(SOURCES, decoding)
    assert texts(together) == texts(alone)
    assert together[0][0].score == pytest.approx(alone[0][0].score, rel=1e-5)
    torch.testing.assert_close(together[0][0].attention, alone[0][0].attention)
    assert predictor.judge(divided(pairs_of(9, 4)).training, "pairs").loss == pytest.approx(loss)


def test_several_networks_average_their_probabilities(make_translate, division):
    models = [
        make_translate(seed=seed, attention=kind).predictor
        for seed, kind in ((1, "none"), (2, "additive"))
    ]
    corpus = division.validation
    log = []
    for predictor in models:
        row, target = corpus.sources.row(0), corpus.targets.row(0)
        with predictor.answering():
            hidden = predictor.model(
                torch.tensor(row[None].astype("int64")),
                None,
                torch.tensor(target[None, :-1].astype("int64")),
            ).hidden[0]
            belief = predictor.model.log_probabilities(hidden).exp()
        log.append(belief.gather(1, torch.tensor(target[1:, None].astype("int64"))))
    expected = -((log[0] + log[1]) / 2).log().mean()
    models[0].join(models[1:])
    assert models[0].judge(corpus.take([0]), "one").loss == pytest.approx(float(expected), rel=1e-5)
    ((found,),) = models[0].translate(["one two"], BeamSettings(beam=1, max_length=4))
    assert found.attention is not None


def test_networks_of_other_vocabularies_are_refused(make_translate):
    predictor = make_translate().predictor
    other = make_translate(parts=divided(Pairs(("one two",), ("un deux",)))).predictor
    with pytest.raises(DataError, match="model 2 of the ensemble has another source vocabulary"):
        predictor.join([other])
    with pytest.raises(DataError, match="model 3 of the ensemble has another source vocabulary"):
        predictor.join([make_translate(seed=2).predictor, other])


# --- judging -------------------------------------------------------------------------------


def test_an_evaluation_holds_figures_and_answers(trained):
    corpus = PairCorpus.encoded(pairs_of(20, 7), trained.codecs)
    found = trained.evaluate(corpus, "pairs", beam=1)
    assert found.count == int((corpus.targets.lengths - 1).sum())
    answers = found.answers
    assert answers.references == corpus.pairs.targets
    assert list(answers.hypotheses) == [
        one.text for (one,) in trained.translate(corpus.pairs.sources, BeamSettings(beam=1))
    ]
    assert answers.exact_match > 0.5
    assert answers.decoding["beam"] == 1
    assert set(answers.scores) == {"bleu", "chrf", "bleu_lowercased_tokenised"}
    short = PairCorpus.encoded(Pairs(("one", "one two"), ("un", "un deux")), trained.codecs)
    assert set(trained.evaluate(short, "pairs").answers.scores) == {"chrf"}
    assert trained.evaluate(corpus, "pairs", beam=1, batch_size=3).answers.hypotheses == (
        answers.hypotheses
    )


def test_what_cannot_be_judged_is_refused(trained, division):
    with pytest.raises(DataError, match="leave out by-step"):
        trained.evaluate(division.part("test"), "pairs", True)
    with pytest.raises(DataError, match="pairs has no pairs"):
        trained.evaluate(division.training.take([]), "pairs")


def test_pairs_of_a_file_are_read_by_the_model_s_own_vocabulary(trained, tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("source\ttarget\none\tun\ntwo six\tdeux six\n")
    corpus = trained.read_file(path)
    assert corpus.pairs.targets == ("un", "deux six")
    assert trained.codecs.source.unknown in corpus.sources.row(1)


def test_pairs_of_two_files_are_judged_as_those_of_a_table(trained, tmp_path):
    for name, content in (("a", "one\n\ntwo\n"), ("b", "un\n\ndeux\n")):
        (tmp_path / name).write_text(content)
    (tmp_path / "both.tsv").write_text("source\ttarget\none\tun\n\t\ntwo\tdeux\n")
    aligned = trained.read_aligned(tmp_path / "a", tmp_path / "b")
    assert aligned.pairs == trained.read_file(tmp_path / "both.tsv").pairs
    found = trained.evaluate(aligned, "pairs")
    assert found.answers.hypotheses == ("un", "", "deux")


# --- the search's settings -----------------------------------------------------------------


def test_settings_are_replaced_where_others_are_given():
    first = BeamSettings(beam=4, length_penalty=0.5)
    assert replaced(first, beam=None, length_penalty=1.0) == BeamSettings(
        beam=4, length_penalty=1.0
    )


# --- the model folder ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "vocabulary",
    [
        {"joint": True},
        {"lowercase": True},
        {"unit": "byte"},
        {"unit": "character"},
        {"unit": "bpe", "size": 270},
    ],
)
def test_a_saved_network_answers_as_before(make_translate, same_weights, tmp_path, vocabulary):
    task = make_translate(
        parts=divided(pairs_of(30, 1), **vocabulary), decoding=BeamSettings(beam=2, max_length=9)
    )
    predictor = task.predictor
    model_folder.save(predictor, tmp_path / "model", model_card.write(predictor, {}))
    names = sorted(path.name for path in (tmp_path / "model").glob("*vocabulary.json"))
    joint = vocabulary == {"joint": True}
    assert names == (
        ["vocabulary.json"] if joint else ["source-vocabulary.json", "target-vocabulary.json"]
    )
    loaded = model_folder.load(tmp_path / "model")
    assert isinstance(loaded, PairPredictor)
    assert loaded.decoding == predictor.decoding
    assert loaded.codecs.joint == joint
    assert same_weights(loaded.model, predictor.model)
    assert loaded.translate(SOURCES) == predictor.translate(SOURCES)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "A network that answers a text with a text trained on data in memory" in card
    assert "looks back at it by additive attention" in card


@pytest.fixture
def folder(make_translate, tmp_path):
    model_folder.save(make_translate().predictor, tmp_path / "model", "card")
    return tmp_path / "model"


def refusal(folder) -> str:
    with pytest.raises(ModelFolderError) as error:
        model_folder.load(folder)
    return str(error.value)


def test_a_folder_lacks_a_vocabulary(folder):
    (folder / "target-vocabulary.json").unlink()
    assert refusal(folder).startswith(
        f"{folder}: holds source-vocabulary.json, expected source-vocabulary.json and "
        "target-vocabulary.json"
    )


def test_a_folder_has_one_too_many(folder):
    (folder / "vocabulary.json").write_bytes((folder / "source-vocabulary.json").read_bytes())
    assert "holds source-vocabulary.json and target-vocabulary.json and vocabulary.json" in refusal(
        folder
    )


def test_a_vocabulary_of_another_size_does_not_fit_the_weights(folder):
    other = divided(Pairs(("one",), ("un",))).codecs.target.vocabulary
    (folder / "target-vocabulary.json").write_text(other.to_json())
    assert "has shape" in refusal(folder)


def test_a_vocabulary_with_ends_of_lines_is_refused(folder):
    from unspool.data.vocabulary import Vocabulary

    other = Vocabulary.of_tokens("word", ["<unk>", "<eos>", "one"], end_of_sentence=True)
    (folder / "source-vocabulary.json").write_text(other.to_json())
    assert "expected none for pairs of texts" in refusal(folder)


def test_a_config_is_checked(folder):
    config = json.loads((folder / "config.json").read_text())
    config["decoding"]["beam"] = 0
    (folder / "config.json").write_text(json.dumps(config))
    assert "decoding.beam = 0, expected greater than or equal to 1" in refusal(folder)
