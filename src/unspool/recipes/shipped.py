"""The recipes that come with the package, as text; needs no torch."""

import difflib
from importlib import resources

from unspool.errors import RecipeError


def shipped() -> dict[str, str]:
    """Every recipe that comes with the package: name and text."""
    files = resources.files("unspool.recipes").iterdir()
    texts = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in files
        if file.name.endswith(".toml")
    }
    return dict(sorted(texts.items()))


def text_of(name: str) -> str:
    """Give the text of a shipped recipe.

    Raises
    ------
    RecipeError
        If there is none of that name; the nearest is suggested.
    """
    known = shipped()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ","
        raise RecipeError(
            f"no recipe is called {name!r}{hint} expected a .toml file or one of {', '.join(known)}"
        )
    return known[name]
