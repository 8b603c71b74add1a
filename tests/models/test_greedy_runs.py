"""Many steps at once find what steps one by one find, to the bit."""

import pytest
import torch

from unspool.decoding.greedy import greedy
from unspool.decoding.settings import BeamSettings
from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings, SearchSteps
from unspool.models.memory import attention_of
from unspool.nn import levels
from unspool.nn.keeping import keep_packed

pytestmark = pytest.mark.skipif(not levels.names(), reason="there is no native kernel")

PADDING, BEGIN, END = 0, 1, 2
VARIANTS = {
    "no attention": {"cell": "lstm", "reverse_source": True},
    "additive": {"cell": "gru", "attention": "additive", "bidirectional": True},
    "multiplicative": {"cell": "lstm", "attention": "multiplicative", "tie_weights": True},
    "feeding": {"cell": "lstm", "attention": "additive", "input_feeding": True},
    "feeding by products": {"cell": "gru", "attention": "multiplicative", "input_feeding": True},
    "simple": {"cell": "rnn", "attention": "additive", "input_feeding": True},
}


def model_of(variant, seed=1):
    torch.manual_seed(seed)
    settings = EncoderDecoderSettings(
        hidden_size=19, embedding_size=19, num_decoder_layers=2, init=0.6, **VARIANTS[variant]
    )
    model = EncoderDecoder(23, 23, settings).eval()
    with torch.no_grad():
        model.output.bias[END] += 1.5  # some end early
    keep_packed(model)
    return model


def sources(count):
    lengths = torch.arange(count) % 7 + 1
    return torch.randint(3, 23, (count, 7)), lengths


def found_by(model, step, count, settings):
    source, lengths = sources(count)
    with torch.inference_mode():
        state = model.initial_state(model.encode(source, lengths))
        attends = model.settings.attention != "none"
        return greedy(
            step,
            state,
            torch.full((count,), BEGIN),
            END,
            settings,
            source_lengths=lengths,
            attention=attention_of if attends else None,
            never=(PADDING, BEGIN),
        )


def told(hypotheses):
    return [(each.tokens, each.log_probability, each.score, each.finished) for each in hypotheses]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize(
    "limits",
    [
        {"max_length": 40},
        {"max_length": 150},
        {"min_length": 6, "max_length": 9},
        {"max_length_factor": 1.5, "max_length_constant": 1},
        {"min_length": 3, "max_length": 3},
        {"max_length": 1},
        {"no_repeat_ngram": 2, "max_length": 20},
        {"length_penalty": 1.0, "max_length": 20},
    ],
    ids=str,
)
def test_greedy_search(variant, count, limits):
    if VARIANTS[variant].get("attention"):
        limits = {**limits, "coverage_penalty": 0.2}
    model, settings = model_of(variant), BeamSettings(**limits)
    torch.manual_seed(2)
    one_by_one = found_by(model, model.step, count, settings)
    torch.manual_seed(2)
    with torch.inference_mode():
        steps = model.steps()
    assert isinstance(steps, SearchSteps)
    at_once = found_by(model, steps, count, settings)
    assert told(at_once) == told(one_by_one)
    for one, other in zip(at_once, one_by_one, strict=True):
        assert (one.attention is None) == (other.attention is None)
        assert one.attention is None or torch.equal(one.attention, other.attention)


def counted(model):
    """The steps of a search, and how many there were at each time."""
    steps, taken = model.steps(), []

    class Counted:
        attention = staticmethod(attention_of)

        def __call__(self, tokens, state):
            raise AssertionError("one step alone")

        def go_on(self, tokens, state, **options):
            found = steps.go_on(tokens, state, **options)
            taken.append((len(tokens), len(found[0].tokens)))
            return found

    return Counted(), taken


def test_no_step_is_computed_for_a_sentence_that_is_done():
    model = model_of("simple")
    torch.manual_seed(2)
    with torch.inference_mode():
        step, taken = counted(model)
    found = found_by(model, step, 9, BeamSettings(max_length=30))
    lengths = [len(each.tokens) + each.finished for each in found]
    assert len(set(lengths)) > 2
    assert sum(rows * steps for rows, steps in taken) == sum(lengths)
    assert max(steps for _, steps in taken) > 1


def state_of(model, count=2):
    source, lengths = sources(count)
    return model.initial_state(model.encode(source, lengths))


def gone_on(tokens, change=lambda state: None, most=5, **options):
    """A run from the beginning of two sentences."""
    model = model_of("additive")
    with torch.inference_mode():
        state = state_of(model)
        change(state)
        return model.steps().go_on(torch.tensor(tokens), state, end=END, most=most, **options)


def test_a_run_ends_where_nothing_is_possible():
    run, state = gone_on([BEGIN, BEGIN], excluded=range(23))
    assert run.gains.tolist() == [[-torch.inf] * 2]
    assert torch.equal(state.attention, run.attention[-1])


def test_a_run_ends_where_there_are_no_numbers():
    def spoil(state):
        state.layers[0][0][1] = torch.nan

    run, _ = gone_on([BEGIN, BEGIN], spoil, excluded=[])
    assert len(run.tokens) == 1


def test_a_token_that_is_none_is_refused():
    with pytest.raises(IndexError, match="tokens has the value 23, expected 0 to 22"):
        gone_on([BEGIN, 23], excluded=[])


def test_an_excluded_token_that_is_none_is_refused():
    with pytest.raises(IndexError, match="excluded has the value -1, expected 0 to 22"):
        gone_on([BEGIN, BEGIN], excluded=[0, -1])


def test_it_takes_a_step_at_least():
    with pytest.raises(ValueError, match="most is 0, expected 1 or more"):
        gone_on([BEGIN, BEGIN], excluded=[], most=0)


def test_attention_that_is_read_otherwise_is_read_at_each_step():
    model, settings = model_of("additive"), BeamSettings(max_length=12)
    source, lengths = sources(5)

    def reversed_attention(state):
        return state.attention.flip(1)

    def found(attention):
        with torch.inference_mode():
            state = model.initial_state(model.encode(source, lengths))
            begin = torch.full((5,), BEGIN)
            return greedy(model.steps(), state, begin, END, settings, attention=attention)

    for one, other in zip(found(reversed_attention), found(attention_of), strict=True):
        assert one.tokens == other.tokens
        assert torch.equal(one.attention, other.attention.flip(1))


def test_with_gradients_it_is_left_to_steps():
    model = model_of("additive")
    steps = model.steps()
    options = {"excluded": [], "end": END, "most": 5}
    assert steps.go_on(torch.tensor([BEGIN, BEGIN]), state_of(model), **options) is None
