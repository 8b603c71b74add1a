"""The model card: what a model is, what it learned from, how good it is, and its limits."""

from __future__ import annotations

from collections.abc import Mapping

import unspool
from unspool.tasks.metric import nats_per
from unspool.tasks.predictor import Predictor


def write(predictor: Predictor, results: Mapping[str, float], recipe: str | None = None) -> str:
    """Write a model card in Markdown.

    Parameters
    ----------
    predictor : Predictor
    results : mapping of str to float
        Loss and metrics on the validation part, empty where there was none.
    recipe : str, optional
        The complete recipe, as TOML.
    """
    data = predictor.data.title if predictor.data else "data in memory"
    labels = {metric.name: metric.label for metric in predictor.metrics}
    figures = "\n".join(
        f"| {labels.get(name, name)} | {value:.4f} |" for name, value in results.items()
    )
    judging = "--split test" if predictor.data else "--data FILE"
    parts = [
        f"# {predictor.kind} trained on {data}",
        f"{predictor.summary()} Made by Unspool {unspool.__version__}.",
        "## Use",
        f"```\n{predictor.use}\n```",
        "## Results on the validation part",
        f"| figure | value |\n|---|---|\n{figures}" if figures else "There was no such part.",
        f"The loss is in {nats_per(predictor.unit)}. The validation part may have chosen the "
        "weights; for a figure on data that the training never saw, run "
        f"`unspool evaluate MODEL {judging}`.",
        "## Limits",
        predictor.limits,
    ]
    if recipe:
        parts += ["## Recipe", f"```toml\n{recipe.strip()}\n```"]
    return "\n\n".join(parts) + "\n"
