import math

import pytest
import torch

from unspool.decoding.hypotheses import NO_TOKEN, Endings, Hypothesis
from unspool.decoding.prefixes import PrefixTree
from unspool.errors import DataError


def endings(scores, finished=None, token=9):
    score = torch.tensor(scores, dtype=torch.float64)
    finished = score > -math.inf if finished is None else torch.tensor(finished)
    node = torch.arange(score.numel()).view_as(score)
    return Endings(score, score.clone(), node, torch.full_like(node, token), finished)


def test_the_best_of_two_lists_stay_and_those_that_were_there_first_win():
    old = endings([[-1.0, -3.0], [-2.0, -math.inf]], token=1)
    new = endings([[-1.0, -2.0, -9.0], [-4.0, -math.inf, -math.inf]], token=2)
    merged = old.merged(new)
    assert merged.score.tolist() == [[-1.0, -1.0], [-2.0, -4.0]]
    assert merged.token.tolist() == [[1, 2], [1, 2]]
    assert merged.node.tolist() == [[0, 0], [2, 3]]


def test_what_is_finished_ranks_first():
    old = endings([[-5.0, -math.inf]])
    new = endings([[-1.0, -6.0, -2.0]], [[False, True, False]])
    assert old.merged(new).score.tolist() == [[-5.0, -6.0]]
    both = endings([[-math.inf] * 4]).merged(new)
    assert both.score.tolist() == [[-6.0, -1.0, -2.0, -math.inf]]


def test_a_sentence_keeps_its_own():
    kept = Endings.none(3, 1, torch.device("cpu"))
    kept.put(torch.tensor([2, 0]), endings([[-1.0], [-2.0]]))
    assert kept.score.tolist() == [[-2.0], [-math.inf], [-1.0]]
    assert kept.of(torch.tensor([2])).score.tolist() == [[-1.0]]


def grown():
    """Two sentences: the first goes on twice, the second leaves after a step."""
    tree = PrefixTree(torch.tensor([50, 60]))
    tree.attend(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    tree.grow(torch.tensor([[0, 0], [1, 1]]), torch.tensor([[1, 2], [3, 4]]))  # nodes 2 … 5
    tree.attend(torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]))
    tree.grow(torch.tensor([[1, 0]]), torch.tensor([[5, 6]]))  # nodes 6 and 7
    tree.attend(torch.tensor([[0.7, 0.3], [0.6, 0.4]]))
    return tree


def test_a_path_leads_from_the_first_token_to_a_prefix():
    tree = grown()
    paths = tree.paths(torch.tensor([6, 5, 0, 7]))
    assert [path.tolist() for path in paths] == [[0, 3, 6], [1, 5], [0], [0, 2, 7]]
    assert tree.tokens(paths) == [[2, 5], [4], [], [1, 6]]
    weights = tree.attention(paths)
    assert torch.equal(weights[0], torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.7, 0.3]]))
    assert torch.equal(weights[2], torch.tensor([[0.5, 0.5]]))


def test_hypotheses_are_read_from_the_tree():
    score = torch.tensor([[-1.0, -2.0], [-3.0, -math.inf]], dtype=torch.float64)
    node = torch.tensor([[6, 7], [5, 0]])
    token = torch.tensor([[9, 8], [NO_TOKEN, 0]])
    finished = torch.tensor([[True, False], [False, False]])
    found = Endings(score, score * 2, node, token, finished).hypotheses(
        grown(), torch.tensor([2, 1])
    )
    assert found == [
        [Hypothesis((2, 5), -1.0, -2.0, True), Hypothesis((1, 6, 8), -2.0, -4.0, False)],
        [Hypothesis((4,), -3.0, -6.0, False)],
    ]
    (ended, cut), (stuck,) = found
    assert torch.equal(ended.attention, torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
    assert torch.equal(cut.attention, torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.6, 0.4]]))
    assert torch.equal(stuck.attention, torch.tensor([[1.0]]))  # its source has one position


def test_without_attention_there_is_none():
    tree = PrefixTree(torch.tensor([0]))
    ((found,),) = endings([[-1.0]]).hypotheses(tree, None)
    assert found == Hypothesis((), -1.0, -1.0, True)
    assert found.attention is None


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="its weights or its input may be damaged"):
        endings([[math.nan]]).hypotheses(PrefixTree(torch.tensor([0])), None)
