import numpy as np
import pytest
import torch

from unspool.nn.lengths import check_lengths, valid_steps

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "lengths",
    [
        [2, 0, 3],
        (2, 0, 3),
        np.array([2, 0, 3]),
        torch.tensor([2, 0, 3]),
        torch.tensor([2, 0, 3], dtype=torch.int32),
        torch.tensor([2, 0, 3], dtype=torch.uint8),
        torch.tensor([2, 0, 3], dtype=torch.uint16),
    ],
)
def test_lengths_of_any_integer_kind_become_int64(lengths: object) -> None:
    checked = check_lengths(lengths, batch=3, steps=3, device=CPU)
    assert checked.dtype == torch.int64
    assert checked.tolist() == [2, 0, 3]


def test_lengths_of_an_empty_batch() -> None:
    checked = check_lengths([], batch=0, steps=3, device=CPU)
    assert checked.dtype == torch.int64
    assert checked.shape == (0,)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], r"lengths has shape \(2,\), expected \(3,\); pass one length for each"),
        ([[1], [2], [3]], r"lengths has shape \(3, 1\), expected \(3,\)"),
        (2, r"lengths has shape \(\), expected \(3,\)"),
        ([1.0, 2.0, 3.0], "lengths has dtype torch.float32, expected integers; pass the number"),
        ([True, True, False], "lengths has dtype torch.bool, expected integers"),
        ([1, -1, 2], "lengths has values from -1 to 2, expected 0 to T = 3; count the steps"),
        ([1, 4, 2], "lengths has values from 1 to 4, expected 0 to T = 3"),
        (["1", "2", "3"], r"lengths has \['1', '2', '3'\], expected integers of shape \(B,\)"),
        ([[1], [2, 3]], r"lengths has \[\[1\], \[2, 3\]\], expected integers"),
        ([None, 1, 2], r"lengths has \[None, 1, 2\], expected integers"),
    ],
)
def test_wrong_lengths_are_explained(lengths: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_lengths(lengths, batch=3, steps=3, device=CPU)


def test_valid_steps() -> None:
    assert valid_steps(torch.tensor([1, 0, 2]), steps=2).tolist() == [
        [True, False],
        [False, False],
        [True, True],
    ]
