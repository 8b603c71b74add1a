import copy
import math

import numpy as np
import pytest
import torch

from unspool.data.corpus import Corpus
from unspool.errors import DataError
from unspool.models.language_model import LanguageModel
from unspool.tasks.predict import judging
from unspool.tasks.predict.cache import CacheSettings, NeuralCache
from unspool.tasks.predict.evaluation import Share, TextEvaluation
from unspool.tasks.predict.judging import DynamicSettings


def spread(predictor):
    """Give a model weights large enough to remember and to be sure of itself."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for parameter in predictor.model.parameters():
            torch.nn.init.normal_(parameter, std=0.6)
    return predictor


def evaluate(predictor, corpus, **options):
    return predictor.evaluate(corpus, "text", **options)


# --- streams -------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_batch_size_does_not_change_the_figures(make_predict, text_division, cell):
    predictor = spread(make_predict(cell=cell, num_layers=2).predictor)
    one = evaluate(predictor, text_division.training, batch_size=1)
    for batch_size in (10, 64):
        other = evaluate(predictor, text_division.training, batch_size=batch_size)
        assert other.count == one.count == len(text_division.training)
        assert other.metrics["perplexity"] == pytest.approx(one.metrics["perplexity"], rel=1e-4)
        assert other.accuracy == pytest.approx(one.accuracy, abs=2e-3)


def test_nor_does_it_in_a_long_text(make_predict):
    predictor = spread(make_predict(cell="lstm", hidden_size=16).predictor)
    tokens = np.random.default_rng(0).integers(0, len(predictor.vocabulary), 30_000)
    corpus = Corpus(tokens.astype(np.uint8), np.array([0]), predictor.vocabulary)
    losses = [evaluate(predictor, corpus, batch_size=size).loss for size in (1, 10, 64)]
    assert math.exp(losses[1] - losses[0]) == pytest.approx(1, abs=1e-4)
    assert math.exp(losses[2] - losses[0]) == pytest.approx(1, abs=1e-4)


def test_it_is_the_loss_of_a_training_without_dropout(make_predict, text_division):
    task = make_predict()
    task.model.eval()
    with torch.no_grad():
        nats = sum(float(task.loss(batch).loss) for batch in task.training_batches(1, 1, 0))
    found = evaluate(task.predictor, text_division.training)
    assert found.loss == pytest.approx(nats / len(text_division.training), rel=1e-5)


def test_dropout_is_off_and_the_model_s_mode_kept(make_predict, text_division):
    predictor = make_predict(dropout={"inputs": 0.5}).predictor
    predictor.model.train()
    first = evaluate(predictor, text_division.training)
    assert predictor.model.training
    assert evaluate(predictor, text_division.training) == first


def test_one_token(make_predict, text_division):
    predictor = make_predict().predictor
    corpus = Corpus.from_texts(["cat"], text_division.vocabulary).first(1)
    place = predictor.read("")
    expected = -float(place.log_probabilities[0, int(corpus.tokens[0])])
    assert evaluate(predictor, corpus).loss == pytest.approx(expected, rel=1e-5)
    with pytest.raises(DataError, match="text has no tokens, expected at least one"):
        evaluate(predictor, corpus.first(0))


# --- windows -------------------------------------------------------------------------------


def test_every_window_is_judged_by_itself(make_predict, text_division):
    predictor = spread(make_predict(view="windows", context=3).predictor)
    corpus = text_division.training
    found = evaluate(predictor, corpus)
    nats, hits = [], []
    for start, length in zip(corpus.starts, corpus.lengths, strict=True):
        for place in range(start, start + length - 3):
            tokens = torch.from_numpy(corpus.tokens[place : place + 4].astype("int64"))
            with torch.no_grad():
                hidden = predictor.model.eval()(tokens[None, :3]).hidden[:, -1]
                belief = predictor.model.log_probabilities(hidden)[0]
            nats.append(-float(belief[tokens[3]]))
            hits.append(int(belief.argmax()) == int(tokens[3]))
    assert found.count == len(nats)
    assert found.loss == pytest.approx(np.mean(nats), rel=1e-5)
    assert found.accuracy == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("stride", [2, 3, 50, 1000])
def test_a_stride_judges_the_same_tokens_with_more_context(make_predict, text_division, stride):
    predictor = spread(make_predict(view="windows", context=3).predictor)
    one = evaluate(predictor, text_division.training)
    found = evaluate(predictor, text_division.training, stride=stride)
    assert found.count == one.count
    assert found.loss != one.loss
    assert found.unambiguous is None
    if stride == 1000:  # the whole document at once
        whole = make_predict().predictor
        whole.model.load_state_dict(predictor.model.state_dict())
        corpus = text_division.training
        start = int(corpus.starts[3])
        nats = 0.0
        tokens = torch.from_numpy(corpus.tokens[start:].astype("int64"))
        with torch.no_grad():
            reading = whole.model.eval()(tokens[None, :-1])
            belief = whole.model.log_probabilities(reading.hidden)[0, 2:]
        nats = -float(belief.gather(1, tokens[3:, None]).sum())
        last = Corpus(corpus.tokens[start:], np.array([0]), corpus.vocabulary)
        assert evaluate(predictor, last, stride=stride).loss == pytest.approx(
            nats / (len(tokens) - 3), rel=1e-5
        )


def test_windows_that_occur_once_are_told_apart(text_division):
    corpus = Corpus.from_texts(["the cat the cat a", "cat the cat"], text_division.vocabulary)
    windows = [("the", "cat"), ("cat", "the"), ("the", "cat"), ("cat", "a"), ("cat", "the")]
    expected = [windows.count(window) == 1 for window in windows]
    found = judging.unambiguous(corpus, 2)
    assert found[:4].tolist() == expected[:4]
    assert not found[4]


# --- options -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        ("streams", {"by_step": True}, "leave out by-step"),
        ("streams", {"stride": 2}, "stride is for models of windows"),
        ("windows", {"dynamic": DynamicSettings(rate=0.1)}, "dynamic is for models of streams"),
        ("windows", {"cache": CacheSettings()}, "cache is for models of streams"),
    ],
)
def test_options_that_do_not_fit_the_model(make_predict, text_division, view, options, message):
    with pytest.raises(DataError, match=message):
        evaluate(make_predict(view=view).predictor, text_division.training, **options)


def test_a_text_too_short_for_the_windows_is_named(make_predict):
    predictor = make_predict(view="windows", context=3).predictor
    corpus = Corpus.from_texts(["the"], predictor.vocabulary)
    with pytest.raises(DataError, match=r"^text: the longest document has \d tokens?, expected at"):
        evaluate(predictor, corpus)


def test_dynamic_evaluation_learns_and_forgets_what_it_learned(
    make_predict, text_division, same_weights
):
    predictor = make_predict(hidden_size=16, dropout={"inputs": 0.5, "weights": 0.5}).predictor
    before = copy.deepcopy(predictor.model)
    plain = evaluate(predictor, text_division.training)
    found = evaluate(predictor, text_division.training, dynamic=DynamicSettings(rate=0.5))
    assert found.count == plain.count
    assert found.loss < plain.loss - 0.1
    assert same_weights(predictor.model, before)
    again = evaluate(predictor, text_division.training, dynamic=DynamicSettings(rate=0.5))
    assert again == found


def test_dynamic_evaluation_of_words_that_a_segment_lacks(make_predict, text_division):
    """A segment without rare words uses none of the weights that tell them apart."""
    predictor = make_predict(hidden_size=16, adaptive_softmax=(4, 6)).predictor
    settings = DynamicSettings(rate=0.1, steps=1)
    found = evaluate(predictor, text_division.training, dynamic=settings)
    assert found.loss < evaluate(predictor, text_division.training).loss


def test_dynamic_evaluation_is_a_loop_by_hand(make_predict, text_division):
    predictor = make_predict().predictor
    settings = DynamicSettings(rate=0.2, decay=0.1, steps=4)
    corpus = Corpus(text_division.training.tokens[:11], np.array([0]), text_division.vocabulary)
    model: LanguageModel = copy.deepcopy(predictor.model).eval()
    trained = [weight.detach().clone() for weight in model.parameters()]
    tokens = torch.from_numpy(corpus.tokens.astype("int64"))
    read = torch.cat([torch.tensor([corpus.vocabulary.start]), tokens[:-1]])
    nats, state = 0.0, None
    for start in range(0, 11, 4):
        part = slice(start, min(start + 4, 11))
        reading = model(read[None, part], state)
        state = tuple(tuple(member.detach() for member in layer) for layer in reading.state)
        belief = model.log_probabilities(reading.hidden[0])
        loss = -belief.gather(1, tokens[part, None]).sum()
        nats += float(loss.detach())
        model.zero_grad()
        (loss / len(tokens[part])).backward()
        with torch.no_grad():
            for weight, first in zip(model.parameters(), trained, strict=True):
                weight += 0.1 * (first - weight) - 0.2 * weight.grad
    found = evaluate(predictor, corpus, dynamic=settings)
    assert found.loss == pytest.approx(nats / 11, rel=1e-5)


def test_a_cache_is_a_loop_by_hand(make_predict):
    predictor = spread(make_predict().predictor)
    settings = CacheSettings(size=3, weight=0.25, flatness=0.7)
    cache = NeuralCache(predictor.model, settings)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(7, 6, generator=generator)
    targets = torch.randint(len(predictor.vocabulary), (7,), generator=generator)
    with torch.no_grad():
        own = predictor.model.log_probabilities(hidden).exp()
        found = torch.cat([cache(hidden[:2], targets[:2]), cache(hidden[2:], targets[2:])]).exp()
    for position in range(7):
        earlier = range(max(position - 3, 0), position)
        expected = own[position].clone()
        if earlier:
            scores = torch.tensor([0.7 * float(hidden[position] @ hidden[i]) for i in earlier])
            expected *= 0.75
            for i, share in zip(earlier, scores.softmax(0), strict=True):
                expected[targets[i]] += 0.25 * share
        torch.testing.assert_close(found[position], expected)
    torch.testing.assert_close(found.sum(1), torch.ones(7))


def test_a_cache_helps_where_words_come_again(make_predict, text_division):
    predictor = make_predict().predictor
    corpus = Corpus.from_texts(["mouse sleeps " * 40], text_division.vocabulary)
    plain = evaluate(predictor, corpus)
    cached = evaluate(predictor, corpus, cache=CacheSettings(weight=0.5))
    assert cached.loss < plain.loss - 0.2
    both = evaluate(predictor, corpus, cache=CacheSettings(), dynamic=DynamicSettings(rate=0.3))
    assert both.loss < plain.loss


# --- figures -------------------------------------------------------------------------------


def test_figures_of_words_and_of_characters():
    words = TextEvaluation("word", 10, math.log(32), 0.5)
    assert words.metrics == {"perplexity": pytest.approx(32)}
    assert words.summary() == {
        "count": 10,
        "loss": math.log(32),
        "perplexity": pytest.approx(32),
        "bits_per_word": pytest.approx(5),
        "accuracy": 0.5,
    }
    letters = TextEvaluation("character", 10, math.log(4), 0.5, Share(3, 1.0))
    assert letters.metrics == {"bits_per_character": pytest.approx(2)}
    assert letters.summary()["unambiguous"] == {"count": 3, "accuracy": 1.0}
    rows = dict(letters.tables()[0].rows)
    assert rows["bits a character"] == "2.0000"
    assert rows["guessed right of the 3 windows that occur once"] == "100.00%"
    assert TextEvaluation("word", 1, 1e6, 0.0).metrics["perplexity"] == math.inf
