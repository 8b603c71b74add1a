"""The model card: what a model is, what it learned from, how good it is, and its limits."""

from __future__ import annotations

from collections.abc import Mapping

import unspool
from unspool.tasks.classify import Classify


def write(task: Classify, results: Mapping[str, float], recipe: str | None = None) -> str:
    """Write a model card in Markdown.

    Parameters
    ----------
    task : Classify
    results : mapping of str to float
        Figures on the validation part, empty where there was none.
    recipe : str, optional
        The complete recipe, as TOML.
    """
    settings = task.model.settings
    data = task.data.title if task.data else "arrays in memory"
    layers = f"{settings.num_layers} {settings.cell.upper()} layer{'s' * (settings.num_layers > 1)}"
    reading = "from both ends" if settings.bidirectional else "from the first step to the last"
    parameters = sum(parameter.numel() for parameter in task.model.parameters())
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in results.items())
    judging = "--split test" if task.data else "--data FILE"
    parts = [
        f"# A sequence classifier trained on {data}",
        f"{layers} of {settings.hidden_size} units ({parameters:,} parameters) that read a "
        f"sequence of {len(task.model.centre)} features a step {reading} and say which of "
        f"{len(task.classes)} classes it is. Made by Unspool {unspool.__version__}.",
        "## Use",
        "```\nunspool predict MODEL INPUT\n```",
        "## Results on the validation part",
        f"| figure | value |\n|---|---|\n{figures}" if figures else "There was no such part.",
        "The loss is in nats a sequence. The validation part may have chosen the weights; for a "
        f"figure on data that the training never saw, run `unspool evaluate MODEL {judging}`.",
        "## Limits",
        "The classes are those of the training data and no others; a sequence that is none of "
        "them gets one of their names all the same. A probability is the network's belief, not "
        "checked against how often it is right.",
    ]
    if recipe:
        parts += ["## Recipe", f"```toml\n{recipe.strip()}\n```"]
    return "\n\n".join(parts) + "\n"
