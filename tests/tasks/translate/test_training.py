import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from unspool.data.pair_codecs import PairVocabularySettings
from unspool.data.pair_limits import LengthLimits
from unspool.data.pair_source import encode
from unspool.data.text_codec import BEGIN, END
from unspool.recipes import recipe as recipes
from unspool.tasks.task import Totals
from unspool.tasks.translate.training import Translate, TranslateSettings

from .conftest import divided, pairs_of


def an_epoch(task: Translate, batch_size=64) -> Totals:
    task.model.eval()
    with torch.no_grad():
        parts = [task.loss(batch) for batch in task.training_batches(batch_size, 1, 0)]
    return sum(parts[1:], start=parts[0])


@pytest.mark.parametrize("feeding", [False, True])
def test_the_loss_of_a_pair_is_that_of_a_loop_by_hand(make_translate, division, feeding):
    task = make_translate(input_feeding=feeding)
    corpus, model = division.training, task.model.eval()
    nats = 0.0
    for number in range(len(corpus)):
        source = torch.from_numpy(corpus.sources.row(number).astype("int64"))
        first, *target = corpus.targets.row(number).tolist()
        assert (first, target[-1], int(source[-1])) == (BEGIN, END, END)
        with torch.no_grad():
            state, token = model.initial_state(model.encode(source[None])), first
            for following in target:
                belief, state = model.step(torch.tensor([token]), state)
                nats -= float(belief[0, following])
                token = following
    found = an_epoch(task)
    assert float(found.loss) == pytest.approx(nats, rel=1e-5)
    assert found.count == float(found.weight) == int((corpus.targets.lengths - 1).sum())


def test_the_loss_does_not_depend_on_what_shares_a_batch(make_translate):
    task = make_translate(attention="multiplicative", bidirectional=True)
    whole = an_epoch(task, 100_000)
    assert task.batches_an_epoch(100_000) == 1
    for tokens in (1, 20, 77):
        found = an_epoch(task, tokens)
        assert float(found.loss) == pytest.approx(float(whole.loss), rel=1e-5)
        assert found.count == whole.count


def test_a_batch_has_so_many_tokens_at_most(make_translate):
    task = make_translate()
    batches = list(task.training_batches(40, 1, 0))
    assert len(batches) == task.batches_an_epoch(40)
    assert max(max(batch.source.numel(), batch.target.numel()) for batch in batches) <= 40
    assert sorted(int(number) for batch in batches for number in batch.numbers) == list(range(60))


def test_label_smoothing_is_for_training_alone(make_translate):
    task = make_translate(label_smoothing=0.1)
    (batch,) = task.training_batches(100_000, 1, 0)
    task.model.eval()
    plain = float(task.loss(batch).detached().mean_loss)
    validation = task.validate()
    task.model.train()
    smoothed = float(task.loss(batch).detached().mean_loss)
    hidden = task.model(
        batch.source, batch.source_lengths, batch.target[:, :-1], batch.target_lengths - 1
    ).hidden
    wanted = batch.target[:, 1:]
    logits = task.model.log_probabilities(hidden).flatten(0, 1)
    expected = F.cross_entropy(logits, wanted.flatten(), ignore_index=0, label_smoothing=0.1)
    assert smoothed == pytest.approx(float(expected.detach()), rel=1e-4)
    assert smoothed != pytest.approx(plain, rel=1e-4)
    task.model.train()
    assert task.validate() == validation


def test_validation_is_weighted_by_tokens(make_translate, division):
    task = make_translate()
    found = task.validate()
    assert set(found) == {"loss", "perplexity", "accuracy"}
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    sums = [0.0, 0.0, 0]
    for number in range(len(division.validation)):
        one = task.predictor.judge(division.validation.take([number]), "one")
        sums = [
            sums[0] + one.loss * one.count,
            sums[1] + one.accuracy * one.count,
            sums[2] + one.count,
        ]
    assert found["loss"] == pytest.approx(sums[0] / sums[2], rel=1e-6)
    assert found["accuracy"] == pytest.approx(sums[1] / sums[2])


def test_without_a_validation_part_there_is_nothing_to_tell(make_translate):
    assert make_translate(parts=divided(pairs_of(5, 1))).validate() is None


def test_a_batch_is_named_by_its_first_source(make_translate, division):
    task = make_translate()
    batch = next(iter(task.training_batches(40, 1, 0)))
    assert (
        task.examples(batch) == f"the pair of {division.training.pairs.sources[batch.numbers[0]]!r}"
    )


def test_tied_weights_need_one_vocabulary_for_the_source_to_share_them(make_translate):
    joint = divided(pairs_of(30, 1), joint=True)
    assert make_translate(parts=joint, tie_weights=True).model.source_embedding is None
    assert make_translate(tie_weights=True).model.source_embedding is not None


def test_a_recipe_describes_pairs_network_and_search():
    recipe = recipes.load(
        "reverse", ["data.size=200", "decoding.beam=3", "model.hidden_size=8", "seed=4"]
    ).recipe
    task = recipe.build(recipe.seed)
    assert isinstance(task, Translate)
    assert task.predictor.decoding.beam == 3
    assert task.model.settings.hidden_size == 8
    assert (task.unit, task.headline.name) == ("character", "perplexity")
    assert recipe.data_set == "reverse"
    assert recipe.has_validation


def test_what_is_left_out_is_noted(make_translate):
    parts = encode(
        {"train": pairs_of(30, 1), "validation": pairs_of(9, 2)},
        PairVocabularySettings(),
        LengthLimits(source=3),
    )
    notes = make_translate(parts=parts).notes
    assert notes == parts.notes()
    assert [note.partition(" ")[0] for note in notes] == ["train:", "validation:"]
    assert make_translate().notes == []


def test_a_penalty_of_attention_needs_attention():
    values = {"data": {"name": "reverse"}, "decoding": {"coverage_penalty": 0.5}}
    with pytest.raises(ValidationError, match="where attention looked"):
        TranslateSettings.model_validate(values)
    TranslateSettings.model_validate({**values, "model": {"attention": "additive"}})
