"""The scores of additive attention, by torch in parts and by C++: those that are formed at once."""

import pytest
import torch

from unspool.nn import additive_scores as module
from unspool.nn.additive_scores import additive_scores


def drawn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def plain_scores(queries, keys, energy):
    return torch.tanh(queries[:, :, None] + keys[:, None]) @ energy


def leaves_of(batch, queries, steps, size, dtype=torch.float64):
    shapes = (batch, queries, size), (batch, steps, size), (size,)
    return [drawn(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def values_and_gradients(function, leaves):
    own = [leaf.clone().requires_grad_() for leaf in leaves]
    scores = function(*own)
    cotangent = drawn(*scores.shape, seed=3, dtype=scores.dtype)
    return [scores, *torch.autograd.grad(scores, own, cotangent)]


@pytest.mark.parametrize("queries", [1, 4])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 17])
def test_torch_forms_them_in_parts(queries, chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    leaves = leaves_of(7, queries, 2, 3)
    found = [values_and_gradients(function, leaves) for function in (additive_scores, plain_scores)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (3, 1, 5, 7), (2, 4, 3, 16), (9, 6, 11, 40), (5, 2, 17, 321)], ids=str
)
def test_every_kernel_forms_them(native, threads, assert_near, sizes):
    leaves = leaves_of(*sizes, dtype=torch.float32)
    expected = values_and_gradients(plain_scores, [leaf.double() for leaf in leaves])
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(values_and_gradients(additive_scores, leaves))
    assert_near([value.detach() for value in found[0]], [value.detach() for value in expected])
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


def test_the_kernel_has_been_asked(fastest, monkeypatch):
    monkeypatch.setattr(module, "_form_scores", None)
    monkeypatch.setattr(module, "_gradients", None)
    values_and_gradients(additive_scores, leaves_of(2, 3, 4, 5, dtype=torch.float32))


@pytest.mark.parametrize("sizes", [(0, 2, 3, 4), (2, 0, 3, 4), (2, 2, 0, 4)], ids=str)
def test_nothing_to_compare(sizes):
    for dtype in (torch.float32, torch.float64):
        scores, *gradients = values_and_gradients(additive_scores, leaves_of(*sizes, dtype=dtype))
        assert scores.shape == sizes[:3]
        assert all((gradient == 0).all() for gradient in gradients)


def test_queries_and_keys_may_lie_anyhow(fastest):
    queries, keys, energy = leaves_of(3, 4, 5, 6, dtype=torch.float32)
    strided = [each.transpose(0, 1).contiguous().transpose(0, 1) for each in (queries, keys)]
    torch.testing.assert_close(
        values_and_gradients(additive_scores, [*strided, energy]),
        values_and_gradients(additive_scores, [queries, keys, energy]),
        rtol=0,
        atol=0,
    )


def test_scores_need_not_all_be_learnt_from():
    queries, keys, energy = leaves_of(2, 3, 5, 4, dtype=torch.float32)
    additive_scores(queries.requires_grad_(), keys, energy).sum().backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_sizes_that_do_not_fit_are_refused(fastest):
    queries, keys, energy = leaves_of(3, 2, 5, 4, dtype=torch.float32)
    with pytest.raises(RuntimeError, match="size"):
        additive_scores(queries, keys[:2], energy)
    with pytest.raises(RuntimeError, match="size"):
        additive_scores(queries, keys, energy[:3])
