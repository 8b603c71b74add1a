"""Products with a packed matrix, beside those of torch in double precision."""

import pytest
import torch
from torch import Tensor

from unspool.nn import levels, products
from unspool.nn.products import PackedMatrix
from unspool.nn.stepwise import SteppedLinear

KERNELS = [*levels.names(), *(name for name in levels.half_names() if name == "amx_bf16")]
SERVING = [name for name in levels.names() if name in ("avx2", "amx")]
CASES = [(name, False) for name in SERVING]
CASES += [("amx", True)] if "amx_bf16" in KERNELS else []
"""What serves, and whether under autocast."""
SHAPES = [(16, 32, 64), (17, 1, 1), (40, 33, 70), (150, 320, 960), (31, 100, 257), (1, 7, 16)]
"""N, K, M."""


def near(found: Tensor, expected: Tensor, kernel: str, depth: int) -> bool:
    largest = expected.abs().max() / depth**0.5  # of the products that are summed
    precision = 4e-3 if kernel.endswith("bf16") else 2e-7
    return bool((found - expected).abs().max() <= precision * largest * depth)


@pytest.fixture(params=SERVING)
def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setenv("UNSPOOL_KERNEL", name)
    return name


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transpose", [False, True])
def test_a_product(kernel, shape, transpose, threads):
    rows, depth, columns = shape
    torch.manual_seed(0)
    input, added = torch.randn(rows, depth + 3)[:, 3:], torch.randn(rows, columns)
    weight = torch.randn(depth, columns + 5)[:, :columns]
    if transpose:
        weight = torch.randn(columns, depth + 2)[:, 2:]
    expected = input.double() @ (weight.t() if transpose else weight).double()
    found = []
    for count in (1, 2, 3):
        threads(count)
        matrix = PackedMatrix(weight, transpose, kernel)
        found.append((matrix.multiply(input), matrix.multiply(input, added)))
    assert near(found[0][0], expected, kernel, depth)
    assert near(found[0][1], expected + added, kernel, depth)
    if kernel.startswith("amx"):  # adds the sum of the products
        assert torch.equal(found[0][1], found[0][0] + added)
    assert all(map(torch.equal, found[1], found[0]))
    assert all(map(torch.equal, found[2], found[0]))


@pytest.mark.parametrize("kernel", KERNELS)
def test_columns_of_a_matrix_may_lie_side_by_side(kernel):
    weight, input = torch.randn(48, 40).t(), torch.randn(20, 40)
    found = PackedMatrix(weight, False, kernel).multiply(input)
    assert torch.equal(found, PackedMatrix(weight.contiguous(), False, kernel).multiply(input))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_of_a_weight(kernel, shape, threads):
    rows, size, outputs = shape
    counts = [rows, rows, (rows + 1) // 2, 1]
    gradients = torch.randn(sum(counts) + 5, outputs)
    inputs = [torch.randn(size, count).t() for count in counts]
    expected = gradients[: sum(counts)].double().t() @ torch.cat(inputs).double()
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(products.weight_gradient(gradients, inputs, kernel))
    assert near(found[0], expected, kernel, sum(counts))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(("name", "half"), CASES)
def test_a_stepped_linear_takes_it(name, half, monkeypatch):
    monkeypatch.setenv("UNSPOOL_KERNEL", name)
    torch.manual_seed(0)
    weight = (torch.randn(70, 33) / 6).requires_grad_()
    sums = torch.randn(80, 70).requires_grad_()
    x, out = torch.randn(20, 33).requires_grad_(), torch.randn(70, 33) / 10

    def results():
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            linear, given, found = SteppedLinear(weight, sums, [20] * 4), x, []
            for _ in range(3):
                found.append(linear(given))
                given = torch.tanh(found[-1] @ out).float()
        total = torch.stack(found)
        return [total, *torch.autograd.grad(total.square().sum(), [weight, sums, x])]

    taken = []
    pack = PackedMatrix.__init__

    def watched(self, *arguments):
        taken.append(arguments[2])
        pack(self, *arguments)

    monkeypatch.setattr(PackedMatrix, "__init__", watched)
    found = results()
    assert taken == ["amx_bf16" if half else name] * 2
    monkeypatch.setenv("UNSPOOL_KERNEL", "torch")
    half = False
    for one, other in zip(found, results(), strict=True):
        tolerance = 0.05 if taken[0] == "amx_bf16" else 1e-5
        torch.testing.assert_close(
            one, other, rtol=0, atol=tolerance * float(other.detach().abs().max())
        )


def test_a_weight_that_has_changed_has_no_gradient_to_give(served):
    weight, x = torch.randn(64, 64).requires_grad_(), torch.randn(20, 64).requires_grad_()
    found = SteppedLinear(weight, torch.zeros(20, 64), [20])(x).sum()
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        found.backward()


def test_what_is_left_to_torch(served, monkeypatch):
    weight, sums = torch.randn(64, 64), torch.randn(32, 64)
    assert products.serving(weight, sums, 16) == served
    assert products.serving(weight, sums[:15], 15) is None
    assert products.serving(weight, sums[:, :63], 16) is None
    assert products.serving(weight, sums.double(), 16) is None
    assert products.serving(weight.double(), sums.double(), 16) is None
    assert products.serving(weight[:0], sums[:, :0], 16) is None
    assert products.serving(weight.to("meta"), sums, 16) is None
    with torch.inference_mode():
        frozen = weight.clone()
    assert products.serving(frozen, sums, 16) is None
    with torch.autocast("cpu", torch.float16):
        assert products.serving(weight, sums, 16) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert products.serving(weight, sums, 16) == ("amx_bf16" if served == "amx" else None)
    for name in ("portable", "torch"):
        monkeypatch.setenv("UNSPOOL_KERNEL", name)
        assert products.serving(weight, sums, 16) is None


def test_inputs_of_another_shape_are_torch_s_to_judge(served):
    weight, sums = torch.randn(64, 32).requires_grad_(), torch.randn(40, 64)
    for wrong in ((20, 31), (20, 33), (19, 32), (300, 32)):
        with pytest.raises(RuntimeError, match=r"size|shapes"):
            SteppedLinear(weight, sums, [20, 20])(torch.randn(*wrong))
    row = torch.randn(1, 32)
    found = SteppedLinear(weight, sums, [20, 20])(row)
    torch.testing.assert_close(found, sums[:20] + row @ weight.t())
    d_weight = torch.autograd.grad(found.sum(), weight)[0]
    torch.testing.assert_close(d_weight, 20 * row.expand(64, -1))
    with pytest.raises(RuntimeError, match=r"size|shapes"):
        SteppedLinear(torch.randn(512, 32), sums, [20, 20])(torch.randn(20, 32))
