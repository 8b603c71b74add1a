"""``unspool recipes``: the recipes that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one.", metavar="[NAME]")] = None,
) -> None:
    """List the shipped recipes, or print one."""
    from unspool.recipes.recipe import load, shipped

    texts = shipped()
    if name is not None:
        load(name)  # explains an unknown name
        typer.echo(texts[name].rstrip())
        return
    width = max(map(len, texts))
    for title, text in texts.items():
        typer.echo(f"{title:{width}}  {text.splitlines()[0].removeprefix('# ')}")
