"""``unspool recipes``: the recipes that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one.", metavar="NAME")] = None,
) -> None:
    """List the shipped recipes, or print one."""
    from unspool.recipes.shipped import shipped, text_of

    texts = shipped()
    if name is not None:
        typer.echo(text_of(name).rstrip())
        return
    width = max(map(len, texts))
    for title, text in texts.items():
        typer.echo(f"{title:{width}}  {text.splitlines()[0].removeprefix('# ')}")
