import math

import pytest
import torch

from unspool.decoding.penalties import Penalties, coverage_penalty, length_penalty
from unspool.decoding.settings import BeamSettings


def test_the_length_penalty_is_that_of_the_paper():
    assert length_penalty(10, 0.65) == pytest.approx((5 + 10) ** 0.65 / (5 + 1) ** 0.65)
    lengths = torch.tensor([1.0, 7.0])
    assert torch.equal(length_penalty(lengths, 1.0), torch.tensor([1.0, 2.0]))
    assert torch.equal(length_penalty(lengths, 0.0), torch.ones(2))


def test_the_coverage_penalty_is_that_of_the_paper():
    coverage = torch.tensor([[0.25, 1.0, 3.0, 0.0], [0.5, 0.5, 0.0, 0.0]], dtype=torch.float64)
    found = coverage_penalty(coverage, torch.tensor([3, 2]), 0.2)
    expected = [0.2 * math.log(0.25), 0.2 * 2 * math.log(0.5)]
    assert found.tolist() == pytest.approx(expected)


def test_what_found_no_attention_at_all_is_dear_but_possible():
    found = coverage_penalty(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([2]), 1.0)
    assert -2000 < float(found) < -1000


def test_scores_follow_the_rows_that_are_kept():
    settings = BeamSettings(length_penalty=1.0, coverage_penalty=1.0)
    penalties = Penalties(settings, torch.tensor([2, 1]))
    penalties.attend(torch.tensor([[0.5, 0.5], [0.25, 0.0]]))
    penalties.select(torch.tensor([[1, 1]]))  # only the second sentence goes on, twice
    penalties.attend(torch.tensor([[0.25, 0.0], [0.75, 0.0]]))
    sums = torch.tensor([[-4.0, -6.0, -6.0]], dtype=torch.float64)
    scores = penalties.score(sums, 7, torch.tensor([[0, 0, 1]]))
    assert scores.tolist() == [pytest.approx([-2 + math.log(0.5), -3 + math.log(0.5), -3.0])]


def test_without_penalties_a_score_is_the_log_probability():
    penalties = Penalties(BeamSettings(), torch.tensor([2, 1]))
    penalties.attend(torch.rand(2, 2))
    sums = torch.tensor([[-4.0], [-6.0]], dtype=torch.float64)
    assert torch.equal(penalties.score(sums, 7, torch.tensor([[0], [1]])), sums)
