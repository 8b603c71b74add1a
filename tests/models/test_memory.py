import pytest
import torch


def tokens_of(*shape, seed=0):
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def started(variant, make_model):
    """A network and the state of three hypotheses of each of two sentences, after two steps."""
    model = make_model(num_decoder_layers=2, **variant).eval()
    state = model.initial_state(model.encode(tokens_of(2, 5), torch.tensor([5, 3]))).repeat(3)
    for seed in (1, 2):
        _, state = model.step(tokens_of(6, seed=seed), state)
    return model, state


def parts(state):
    members = [member for layer in state.layers for member in layer]
    return [*members, *(each for each in (state.seen, state.attention) if each is not None)]


def test_hypotheses_are_put_in_another_order(started):
    model, state = started
    rows = torch.tensor([[2, 0], [3, 3]])
    after = state.select(rows)
    assert after.memory is state.memory
    for one, other in zip(parts(after), parts(state), strict=True):
        assert torch.equal(one, other[rows.flatten()])
    tokens = tokens_of(6, seed=3)
    before, _ = model.step(tokens, state)
    found, _ = model.step(tokens[rows.flatten()], after)
    torch.testing.assert_close(found, before[rows.flatten()])


def test_a_sentence_that_is_done_leaves(started):
    model, state = started
    rows = torch.tensor([[4, 5, 4]])
    after = state.select(rows)
    assert torch.equal(after.memory.sentence, state.memory.sentence[1:])
    tokens = tokens_of(6, seed=3)
    before, _ = model.step(tokens, state)
    found, _ = model.step(tokens[rows.flatten()], after)
    torch.testing.assert_close(found, before[rows.flatten()])


def test_hypotheses_are_repeated_side_by_side(started):
    _, state = started
    twice = state.repeat(2)
    assert twice.memory is state.memory
    for one, other in zip(parts(twice), parts(state), strict=True):
        assert torch.equal(one, other.repeat_interleave(2, 0))


def test_sentences_are_selected(variant, make_model):
    model = make_model(**variant).eval()
    source, lengths, targets = tokens_of(3, 5), torch.tensor([5, 2, 4]), tokens_of(2, 3, seed=1)
    rows = torch.tensor([2, 0])
    chosen = model.encode(source, lengths).select(rows)
    found = model.read(targets, model.initial_state(chosen))
    expected = model(source[rows], lengths[rows], targets)
    torch.testing.assert_close(found.hidden, expected.hidden)
