from functools import partial

import pytest
import torch
import torch.nn.functional as F

from unspool.nn import cross_entropy, levels
from unspool.nn.cross_entropy import linear_cross_entropy


def inputs(positions=37, hidden=5, classes=11, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(positions, hidden), (classes, hidden), (classes,)]
    drawn = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    targets = torch.randint(classes, (positions,), generator=generator)
    return *(tensor.requires_grad_() for tensor in drawn), targets


def plain(hidden, weight, bias, targets, **options):
    return F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum", **options)


def with_gradients(function, *arguments, scale=1.0):
    leaves = [argument for argument in arguments[:3] if argument is not None]
    loss = function(*arguments)
    return loss.detach(), *torch.autograd.grad(loss * scale, leaves)


def assert_near(found, expected, tolerance):
    """Errors are measured against the largest number of a tensor."""
    for one, other in zip(found, expected, strict=True):
        largest = max(float(other.abs().max()), 1e-2)
        torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance * largest)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK", 1)
    monkeypatch.setattr(cross_entropy, "_FEWEST_ROWS", 4)


@pytest.mark.parametrize("scale", [1.0, -0.25])
def test_sum_and_gradients_are_torch_s(small_chunks, scale):
    arguments = inputs()
    ours = with_gradients(linear_cross_entropy, *arguments, scale=scale)
    torchs = with_gradients(plain, *arguments, scale=scale)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_chunks_change_nothing():
    arguments = inputs()
    whole = with_gradients(linear_cross_entropy, *arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_entropy, "CHUNK", 1)
        patch.setattr(cross_entropy, "_FEWEST_ROWS", 1)
        by_row = with_gradients(linear_cross_entropy, *arguments)
    for one, other in zip(whole, by_row, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_in_lower_precision(dtype, tolerance):
    arguments = inputs(dtype=dtype)
    ours = with_gradients(linear_cross_entropy, *arguments)
    exact = (*(tensor.detach().double().requires_grad_() for tensor in arguments[:3]), arguments[3])
    torchs = with_gradients(plain, *exact)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)


def test_without_a_bias():
    hidden, weight, _, targets = inputs()
    ours = with_gradients(linear_cross_entropy, hidden, weight, None, targets)
    torchs = with_gradients(plain, hidden, weight, None, targets)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_are_those_of_differences(small_chunks):
    *leaves, targets = inputs(positions=9)
    targets[::4] = -100
    assert torch.autograd.gradcheck(lambda *given: linear_cross_entropy(*given, targets), leaves)


def test_positions_that_do_not_count_have_no_influence(small_chunks):
    hidden, weight, bias, targets = inputs()
    counted = torch.arange(len(targets)) % 3 > 0
    masked = targets.where(counted, -100)
    spoilt = hidden.detach().where(counted[:, None], torch.nan).requires_grad_()
    ours = with_gradients(linear_cross_entropy, spoilt, weight, bias, masked)
    torchs = with_gradients(plain, hidden, weight, bias, masked)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other)


def test_nothing_to_count():
    hidden, weight, bias, targets = inputs()
    found = with_gradients(
        linear_cross_entropy, hidden, weight, bias, torch.full_like(targets, -100)
    )
    assert all(bool((tensor == 0).all()) for tensor in found)


def test_logits_of_any_size():
    """Neither does a large logit overflow, nor a target's tiny probability become infinite."""
    hidden = torch.tensor([[1.0], [-1.0]])
    weight = torch.tensor([[500.0], [-500.0], [0.0]])
    targets = torch.tensor([1, 1])
    loss = linear_cross_entropy(hidden, weight, None, targets)
    assert loss == plain(hidden, weight, None, targets) == 1000


def test_no_gradients_are_formed_where_none_are_wanted(monkeypatch):
    arguments = inputs()
    expected = plain(*arguments)

    def formed(*gradients):
        raise AssertionError("a gradient was formed")

    monkeypatch.setattr(cross_entropy, "_add", formed)
    with torch.no_grad():
        loss = linear_cross_entropy(*arguments)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, expected.detach())
    frozen = [argument.detach() for argument in arguments]
    torch.testing.assert_close(linear_cross_entropy(*frozen), expected.detach())


def test_only_the_hidden_values_may_want_one():
    hidden, weight, bias, targets = inputs()
    loss = linear_cross_entropy(hidden, weight.detach(), bias.detach(), targets)
    (found,) = torch.autograd.grad(loss, [hidden])
    (expected,) = torch.autograd.grad(plain(hidden, weight, bias, targets), [hidden])
    torch.testing.assert_close(found, expected)


def test_backward_twice_gives_the_same_twice():
    hidden, weight, bias, targets = inputs()
    loss = linear_cross_entropy(hidden, weight, bias, targets)
    first = torch.autograd.grad(loss, [weight], retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(loss, [weight])[0])


@pytest.mark.parametrize("kernel", ["torch", "reference", *levels.half_names()])
def test_under_autocast_products_are_rounded_and_sums_are_not(small_chunks, monkeypatch, kernel):
    monkeypatch.setenv("UNSPOOL_KERNEL", kernel)
    arguments = inputs(positions=64, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours = with_gradients(linear_cross_entropy, *arguments)
    exact = with_gradients(plain, *arguments)
    assert all(tensor.dtype == torch.float32 for tensor in ours)
    assert_near(ours, [tensor.double() for tensor in exact], tolerance=3e-2)
    assert not torch.equal(ours[1], exact[1])  # rounded indeed


def test_the_logits_never_exist_whole(monkeypatch):
    largest = 0
    empty = torch.Tensor.new_empty

    def watched(self, *size, **options):
        nonlocal largest
        made = empty(self, *size, **options)
        largest = max(largest, made.numel())
        return made

    monkeypatch.setattr(torch.Tensor, "new_empty", watched)
    linear_cross_entropy(*inputs(positions=4096, classes=4096, dtype=torch.float32))
    assert 0 < largest <= cross_entropy.CHUNK


# --- label smoothing -----------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_label_smoothing_is_torch_s(small_chunks, share):
    arguments = inputs()
    ours = with_gradients(partial(linear_cross_entropy, label_smoothing=share), *arguments)
    torchs = with_gradients(partial(plain, label_smoothing=share), *arguments)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_label_smoothing_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="label_smoothing has the value"):
        linear_cross_entropy(*inputs(), label_smoothing=share)


# --- native kernels ------------------------------------------------------------------------

SIZES = [(1, 1, 1), (3, 5, 2), (7, 16, 130), (40, 33, 257), (33, 64, 128), (600, 17, 300)]
SIZES += [(1060, 9, 20), (130, 3, 70_000)]
"""Positions, hidden size, classes: less than a vector of each, whole blocks of classes and a rest,
several chunks of positions."""


@pytest.fixture(params=[*levels.names(), *levels.half_names()])
def native(request, monkeypatch):
    monkeypatch.setenv("UNSPOOL_KERNEL", request.param)
    return request.param


def in_its_precision(name, *arguments, **options):
    with torch.autocast("cpu", torch.bfloat16, enabled=name in levels.half_names()):
        return with_gradients(partial(linear_cross_entropy, **options), *arguments)


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_native_sum_and_gradients_are_torch_s(native, sizes, has_bias, share):
    hidden, weight, bias, targets = inputs(*sizes, dtype=torch.float32)
    arguments = (hidden, weight, bias if has_bias else None, targets)
    exact = [
        None if tensor is None else tensor.detach().double().requires_grad_()
        for tensor in arguments[:3]
    ]
    expected = with_gradients(partial(plain, label_smoothing=share), *exact, targets)
    found = in_its_precision(native, *arguments, label_smoothing=share)
    assert_near(found, expected, tolerance=3e-2 if native in levels.half_names() else 1e-5)


@pytest.mark.parametrize("scale", [1 / 40, 1.0, -0.25, 0.0])
def test_native_gradients_of_a_multiple_and_of_the_mean(native, scale):
    arguments = inputs(40, 33, 257, dtype=torch.float32)
    found = in_its_precision(native, *arguments)
    with torch.autocast("cpu", torch.bfloat16, enabled=native in levels.half_names()):
        scaled = with_gradients(linear_cross_entropy, *arguments, scale=scale)
    for one, other in zip(scaled[1:], found[1:], strict=True):
        torch.testing.assert_close(one, other * scale, rtol=1e-2, atol=1e-6)


def test_native_backward_twice_gives_the_same_twice(native):
    hidden, weight, bias, targets = inputs(40, 33, 257, dtype=torch.float32)
    loss = linear_cross_entropy(hidden, weight, bias, targets) / len(hidden)
    first = torch.autograd.grad(loss, [weight], retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(loss, [weight])[0])


def test_native_results_are_the_same_at_any_number_of_threads(native):
    arguments = inputs(70, 30, 3000, dtype=torch.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(in_its_precision(native, *arguments))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, same) for one, same in zip(found[0], other, strict=True))


def test_native_sum_is_the_same_without_gradients(native):
    arguments = inputs(70, 30, 300, dtype=torch.float32)
    expected = in_its_precision(native, *arguments)[0]
    with (
        torch.no_grad(),
        torch.autocast("cpu", torch.bfloat16, enabled=native in levels.half_names()),
    ):
        assert linear_cross_entropy(*arguments) == expected


def test_native_logits_of_any_size(native):
    """Neither does a large logit overflow, nor a block of impossible classes spoil the others."""
    hidden = torch.tensor([[1.0], [-1.0]])
    weight = torch.tensor([[500.0], [-500.0], [0.0]]).repeat(200, 1)
    bias = torch.zeros(600)
    bias[3:] = -torch.inf
    targets = torch.tensor([1, 1])
    with torch.no_grad():
        assert linear_cross_entropy(hidden, weight, bias, targets) == 1000


def test_native_spoilt_numbers_are_not_hidden(native):
    hidden, weight, bias, targets = inputs(20, 8, 300, dtype=torch.float32)
    spoilt = hidden.detach().clone()
    spoilt[7, 3] = torch.nan
    with torch.no_grad():
        assert linear_cross_entropy(spoilt, weight, bias, targets).isnan()


def test_native_operator_is_described_rightly(native):
    hidden, weight, bias, targets = inputs(6, 5, 9, dtype=torch.float32)
    plainly = [tensor.detach() for tensor in (hidden, weight, bias)]
    for wanted in ([True] * 3, [False, True, False]):
        torch.library.opcheck(
            torch.ops.unspool.linear_cross_entropy,
            (*plainly, targets, 0.1, 0.5, wanted, native),
            test_utils=("test_schema", "test_faketensor"),
        )


@pytest.mark.parametrize("target", [-1, 300])
def test_native_refuses_a_target_outside(native, target):
    hidden, weight, bias, targets = inputs(20, 8, 300, dtype=torch.float32)
    targets[3] = target
    with pytest.raises(IndexError, match=rf"target {target} is out of bounds.* 300 classes"):
        linear_cross_entropy(hidden, weight, bias, targets)


# --- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: torch.zeros(37, 4)}, r"hidden has shape \(37, 4\) and weight \(11, 5\)"),
        ({2: torch.zeros(3)}, r"bias has shape \(3,\), expected \(11,\)"),
        ({3: torch.zeros(2, dtype=torch.int64)}, r"targets has shape \(2,\), expected \(37,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, message):
    arguments = [change.get(i, argument) for i, argument in enumerate(inputs())]
    with pytest.raises(ValueError, match=message):
        linear_cross_entropy(*arguments)


def test_a_target_outside_is_refused():
    hidden, weight, bias, targets = inputs()
    targets[3] = 11
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        linear_cross_entropy(hidden, weight, bias, targets)
