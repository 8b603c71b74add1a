import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli

from unspool.models.pixels import BinaryPixels, GreyPixels

BINARY, GREY = BinaryPixels(), GreyPixels(3)

parameters_of_grey = st.lists(st.floats(-30, 30), min_size=9, max_size=9).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def grey_by_hand(parameters: torch.Tensor) -> np.ndarray:
    """The probability of each value: what the mixture's distribution function gains over it."""
    logits, means, log_scales = parameters.numpy().reshape(3, -1)
    weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    scales = np.exp(np.maximum(log_scales, -7))
    edges = (np.arange(-1, 256) + 0.5) * 2 / 255 - 1
    edges[[0, -1]] = -np.inf, np.inf
    with np.errstate(over="ignore"):
        below = 1 / (1 + np.exp(-(edges[:, None] - means) / scales))
    return np.diff(below @ weights)


def test_ink_has_the_probability_that_its_logit_tells():
    logits = torch.linspace(-40, 40, 17, dtype=torch.float64)
    for value in (0, 1):
        values = torch.full((17,), value, dtype=torch.uint8)
        found = BINARY.log_likelihood(logits[:, None], values)
        torch.testing.assert_close(found, Bernoulli(logits=logits).log_prob(values.double()))


@given(parameters_of_grey)
def test_grey_values_have_the_mass_of_a_mixture_of_logistics(parameters):
    expected = grey_by_hand(parameters)
    found = GREY.log_likelihood(parameters.expand(256, -1), torch.arange(256)).exp().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-9)
    at_once = GREY.probabilities(parameters).numpy()
    np.testing.assert_allclose(at_once, found, rtol=1e-9, atol=1e-30)


def test_what_is_far_from_every_mean_keeps_its_digits():
    """Where a difference of two numbers near 1 would be 0, and its logarithm endless."""
    parameters = torch.tensor([0.0, 0.9, -7.0], requires_grad=True)
    found = GreyPixels(1).log_likelihood(parameters, torch.tensor(3))
    # a logistic's tail: -x / s + log(exp(1 / 255 / s) - exp(-1 / 255 / s))
    distance, scale = 0.9 - (3 * 2 / 255 - 1), np.exp(-7)
    expected = -distance / scale + np.log(2 * np.sinh(1 / 255 / scale))
    assert found.item() == pytest.approx(expected, rel=1e-4)
    found.backward()
    assert parameters.grad.isfinite().all()
    assert parameters.grad[1] < -500


@given(parameters_of_grey, st.integers(0, 255))
def test_no_gradient_is_lost(parameters, value):
    parameters = parameters.float().requires_grad_()
    GREY.log_likelihood(parameters, torch.tensor(value)).backward()
    assert parameters.grad.isfinite().all()


def drawn(pixels, parameters, temperature, count=4000):
    """How often each value is drawn when random numbers are spread evenly."""
    uniforms = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    values = pixels.draw(parameters.expand(count, -1), uniforms, temperature)
    assert values.dtype == torch.uint8
    return np.bincount(values.numpy(), minlength=pixels.num_values) / count


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_values_are_drawn_as_often_as_they_are_likely(temperature):
    torch.manual_seed(0)
    for pixels in (BINARY, GREY):
        for _ in range(5):
            parameters = torch.randn(pixels.num_parameters, dtype=torch.float64)
            values = torch.arange(pixels.num_values)
            logs = pixels.log_likelihood(parameters.expand(len(values), -1), values)
            expected = torch.softmax(logs / temperature, 0).numpy()
            np.testing.assert_allclose(
                drawn(pixels, parameters, temperature), expected, atol=4 / 4000
            )


def test_without_temperature_the_likeliest_value_is_drawn():
    torch.manual_seed(1)
    logits = torch.randn(50, 1)
    assert torch.equal(BINARY.draw(logits, torch.rand(50), 0), (logits[:, 0] > 0).byte())
    parameters = torch.randn(50, 9)
    best = GREY.probabilities(parameters).argmax(-1)
    assert torch.equal(GREY.draw(parameters, torch.rand(50), 0), best.byte())


@given(parameters_of_grey, st.sampled_from([0.0, 1.0 - 2**-24]), st.sampled_from([0.3, 1.0, 3.0]))
def test_the_ends_of_chance_draw_values_that_there_are(parameters, uniform, temperature):
    parameters = parameters.float()
    value = int(GREY.draw(parameters, torch.tensor(uniform), temperature))
    possible = grey_by_hand(parameters.double()).nonzero()[0]
    assert possible.min() <= value <= 255


def test_a_network_reads_from_0_to_1():
    values = torch.tensor([0, 255], dtype=torch.uint8)
    assert GREY.scaled(values, torch.float32).tolist() == [0, 1]
    assert BINARY.scaled(torch.tensor([0, 1]), torch.float64).dtype == torch.float64


@given(
    parameters=parameters_of_grey,
    uniform=st.floats(0, 0.999),
    temperature=st.sampled_from([0.0, 0.7, 1.0, 2.0]),
    count=st.integers(2, 40),
)
def test_no_bit_depends_on_the_place(parameters, uniform, temperature, count):
    values, uniforms = torch.full((count,), 3), torch.full((count,), uniform)
    for pixels in (BINARY, GREY):
        each = parameters[: pixels.num_parameters].float().expand(count, -1).contiguous()
        found = [
            pixels.log_likelihood(each, values % pixels.num_values),
            pixels.draw(each, uniforms, temperature),
        ]
        if pixels is GREY:
            found.append(pixels.probabilities(each))
        for array in found:
            assert torch.equal(array, array[:1].expand_as(array))


def test_chance_decides_by_the_same_probability_at_every_place():
    logits = torch.randn(61, 1)
    probabilities = 1 / (1 + torch.exp(-logits[:, 0]))
    assert not BINARY.draw(logits, probabilities, 1.0).any()
    assert BINARY.draw(logits, torch.nextafter(probabilities, torch.tensor(0.0)), 1.0).all()
