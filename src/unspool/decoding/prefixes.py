"""What a search has read so far: a tree of prefixes that grows by a level a step.

Shapes: ``N`` rows of a level, ``M`` prefixes that are asked for, ``S`` positions of the source.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class PrefixTree:
    """Every prefix that a network has been given, as its last token and the prefix before it.

    A prefix has a number, its *node*. The nodes of the newest level are ``first … first + N - 1``,
    in the order of the state's rows.

    Parameters
    ----------
    start : (N,) int64 tensor
        The first tokens, which belong to no hypothesis.
    """

    def __init__(self, start: Tensor) -> None:
        self._tokens = [start]
        self._parents = [torch.arange(len(start), device=start.device)]  # a root is its own
        self._attention: list[Tensor] = []
        self.first = 0

    def attend(self, weights: Tensor) -> None:
        """Keep the attention, ``(N, S)``, by which the newest level's next tokens come."""
        self._attention.append(weights)

    def grow(self, rows: Tensor, tokens: Tensor) -> None:
        """Add a level: rows of the newest one, in any shape, each with a token more."""
        self._parents.append(self.first + rows.flatten())
        self.first += len(self._tokens[-1])
        self._tokens.append(tokens.flatten())

    def paths(self, nodes: Tensor) -> list[NDArray[np.int64]]:
        """The nodes on the way from the root, which is the first, to each of ``(M,)`` nodes."""
        parents = torch.cat(self._parents).cpu().numpy()
        steps = [nodes.cpu().numpy()]
        for _ in range(len(self._parents) - 1):
            steps.append(parents[steps[-1]])
        way = np.stack(steps[::-1], 1)  # (M, levels), with the root repeated in front
        beginnings = (way == way[:, :1]).sum(1) - 1
        return [path[begin:] for path, begin in zip(way, beginnings, strict=True)]

    def tokens(self, paths: list[NDArray[np.int64]]) -> list[list[int]]:
        """The tokens on some ways, without the first token that belongs to no hypothesis."""
        tokens = torch.cat(self._tokens).cpu().numpy()
        return [tokens[path[1:]].tolist() for path in paths]

    def attention(self, paths: list[NDArray[np.int64]]) -> list[Tensor | None]:
        """For each node on some ways the attention by which the next token came: ``(…, S)``."""
        if not self._attention or not paths:
            return [None] * len(paths)
        wanted = torch.from_numpy(np.concatenate(paths))
        weights = torch.cat(self._attention)
        found = weights[wanted.to(weights.device)].float().cpu()
        return list(torch.split(found, [len(path) for path in paths]))
