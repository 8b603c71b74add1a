"""How likely networks find the targets of some pairs.

Shapes: ``B`` pairs, ``T`` tokens of the longest target, ``N`` tokens judged, ``P`` size of what the
output layer reads, ``V`` tokens of the target's vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unspool.data.pair_batches import PairBatch, PairBatches
from unspool.data.pair_corpus import PairCorpus
from unspool.models.encoder_decoder import EncoderDecoder
from unspool.nn.lengths import valid_steps
from unspool.tasks.tally import Tally

_TOKENS = 4096  # of a batch


def read_targets(model: EncoderDecoder, batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Read the targets of a batch, each token after the true ones before it.

    Returns
    -------
    hidden : (N, P) tensor
        What the output layer reads, at the valid positions alone.
    targets : (N,) int64 tensor
        What comes next there.
    """
    device = model.target_embedding.weight.device
    target, lengths = batch.target.to(device), batch.target_lengths.to(device) - 1
    reading = model(batch.source.to(device), batch.source_lengths, target[:, :-1], lengths)
    valid = valid_steps(lengths, target.shape[1] - 1)  # (B, T - 1)
    return reading.hidden[valid], target[:, 1:][valid]


def judge(models: Sequence[EncoderDecoder], corpus: PairCorpus) -> Tally:
    """Judge every token of the targets, the ends among them.

    Several models speak with one voice, the mean of their probabilities.
    """
    tally = Tally()
    sizes = [model.settings.readout_size for model in models]

    def answers(hidden: Tensor, targets: Tensor) -> Tensor:
        del targets
        parts = zip(models, torch.split(hidden, sizes, 1), strict=True)
        said = torch.stack([model.log_probabilities(part) for model, part in parts])
        return said.logsumexp(0) - torch.tensor(float(len(models))).log()

    for batch in PairBatches(corpus, _TOKENS).by_length():
        read = [read_targets(model, batch) for model in models]
        hidden = torch.cat([part for part, _ in read], 1)
        tally.add(answers, hidden, read[0][1], models[0].output.bias.numel())
    return tally
