"""The data sets that Unspool knows by name: where they come from and how to trust them.

Sizes and checksums are those of the uncompressed content, so that any ``.gz`` of it verifies.
A set is looked for in the folder given (``--data-dir`` or ``$UNSPOOL_DATA``), then in the user's
cache (``$UNSPOOL_CACHE`` moves it), and only then downloaded, into the cache.
"""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unspool.data import languages
from unspool.data.cache import cache_folder
from unspool.data.catalogue_entries import ENTRIES, Entry, Kind
from unspool.data.download import RemoteFile, download
from unspool.data.files import read_hashed
from unspool.data.images import pair, parse_idx
from unspool.data.labelled_text import LabelledText
from unspool.data.pairs import Pairs
from unspool.data.pairs import read as read_pairs
from unspool.data.sequences import Sequences
from unspool.data.text import Text, TextFiles, TextInMemory
from unspool.errors import DataError

FetchProgress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and all its bytes where known."""


@dataclass(frozen=True)
class FileReport:
    """What :func:`verify` found about one file; ``problem`` is empty where all is well."""

    name: str
    path: Path | None
    problem: str

    @property
    def ok(self) -> bool:
        """Whether the file is there, complete and unchanged."""
        return not self.problem


def names() -> list[str]:
    """Return the names of all sets.

    Examples
    --------
    >>> names()
    ['digits', 'mnist', 'fashion-mnist', 'fable', 'python-docs', 'ptb', 'wikitext-2', \
'tinyshakespeare', 'languages', 'dates', 'reverse', 'copy', 'multi30k']
    """
    return list(ENTRIES)


def entry(name: str) -> Entry:
    """Return what is known about a set.

    Raises
    ------
    DataError
        If there is no set of that name; the nearest is suggested.

    Examples
    --------
    >>> entry("mnist").licence
    'CC BY-SA 3.0'
    """
    if name in ENTRIES:
        return ENTRIES[name]
    nearest = difflib.get_close_matches(name.lower(), ENTRIES, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise DataError(f"no data set is called {name!r}, expected one of {', '.join(names())}{hint}")


def is_divided(name: str | None) -> bool:
    """Tell whether a set has parts in files of their own; False where there is no name.

    Examples
    --------
    >>> is_divided("ptb"), is_divided("digits"), is_divided(None)
    (True, False, False)
    """
    return name is not None and len(entry(name).files) > 1


def locate(name: str, data_dir: Path | str | None = None) -> dict[str, Path | None]:
    """Find each file of a set, plain or compressed, without opening it.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    data_dir : path, optional
        Looked through before the cache, itself and its folder ``name``; ``$UNSPOOL_DATA`` when
        left out.

    Returns
    -------
    dict of str to Path or None
        One item a file, None for a file that is nowhere; empty for a built-in set.

    Raises
    ------
    DataError
        If there is no set of that name.
    """
    folders = _folders(name, data_dir)
    return {file.name: _find(file.name, folders) for file in entry(name).files}


def fetch(
    name: str, data_dir: Path | str | None = None, progress: FetchProgress | None = None
) -> dict[str, Path]:
    """Find each file of a set, and download into the cache what is nowhere.

    Files that are found are not opened; :func:`load` and :func:`verify` check them.

    Raises
    ------
    DataError
        If there is no set of that name, or no mirror delivers the file.
    SaveError
        If the cache cannot be written.
    """
    found = locate(name, data_dir)
    paths = {}
    for file in entry(name).files:
        path = found[file.name]
        if path is None:
            path = cache_folder() / name / f"{file.name}{file.ending}"
            try:
                download(file, path, _progress_of(file, progress))
            except DataError as error:
                advice = entry(name).how_to_get
                raise DataError(f"{error}; {advice}" if advice else str(error)) from None
        paths[file.name] = path
    return paths


def verify(name: str, data_dir: Path | str | None = None) -> list[FileReport]:
    """Compare size and SHA-256 of each file's uncompressed content with the catalogue.

    Returns
    -------
    list of FileReport
        One row a file, in the catalogue's order; empty for a built-in set.

    Raises
    ------
    DataError
        If there is no set of that name.
    """
    found = locate(name, data_dir)
    reports = []
    for file in entry(name).files:
        path = found[file.name]
        if path is None:
            problem = f"not found; run `unspool data fetch {name}`"
        else:
            try:
                _read_verified(name, file, path)
                problem = ""
            except DataError as error:
                problem = str(error)
        reports.append(FileReport(file.name, path, problem))
    return reports


def load(
    name: str, data_dir: Path | str | None = None, progress: FetchProgress | None = None
) -> tuple[Sequences, Sequences | None]:
    """Return a set's training part, and its official test part where it has one.

    What is not found is downloaded. Checksums are compared on every reading, which costs a
    fraction of a second; no record of an earlier check is kept or trusted.

    Raises
    ------
    DataError
        If there is no set of that name, no mirror delivers it, or a file is not the true one.
    SaveError
        If the cache cannot be written.

    Examples
    --------
    >>> train, test = load("digits")
    >>> len(train), train.num_features, test
    (1797, 8, None)
    """
    known = _of_kind(name, "sequences")
    if name == "digits":
        return _load_digits(), None
    paths = fetch(name, data_dir, progress)
    return _load_part(known, paths, "train"), _load_part(known, paths, "t10k")


def texts(
    name: str, data_dir: Path | str | None = None, progress: FetchProgress | None = None
) -> tuple[Text, ...]:
    """Return a set's text, or its training, validation and test part where it has them.

    Raises
    ------
    DataError
        If there is no text of that name, no mirror delivers it, or a file is not the true one.
    SaveError
        If the cache cannot be written.

    Examples
    --------
    >>> [fable] = texts("fable")
    >>> next(fable.pieces()).text[:30]
    'the mice of an old mill could '
    """
    known = _of_kind(name, "text")
    if name == "fable":
        return (TextFiles(name, (Path(__file__).with_name("fable.txt"),)),)
    if name == "python-docs":
        from pydoc_data.topics import topics

        return (TextInMemory(name, tuple(topics[topic] for topic in sorted(topics))),)
    paths = fetch(name, data_dir, progress)
    for file in known.files:
        _read_verified(name, file, paths[file.name])
    return tuple(TextFiles(f"{name} ({file.name})", (paths[file.name],)) for file in known.files)


def labelled_texts(name: str) -> LabelledText:
    """Return a set's texts with their labels.

    Raises
    ------
    DataError
        If there is no such set of that name.

    Examples
    --------
    >>> len(labelled_texts("languages")) > 10_000
    True
    """
    _of_kind(name, "labelled text")
    return languages.names()


def languages_of(name: str) -> tuple[str, ...]:
    """Return the codes of the languages that a set of pairs is in; none for one that has no files.

    Raises
    ------
    DataError
        If there are no pairs of that name.

    Examples
    --------
    >>> languages_of("multi30k")
    ('en', 'de', 'fr')
    """
    known = _of_kind(name, "pairs")
    return tuple(dict.fromkeys(file.name.rpartition(".")[2] for file in known.files))


def pairs(
    name: str,
    source_language: str,
    target_language: str,
    data_dir: Path | str | None = None,
    progress: FetchProgress | None = None,
) -> dict[str, Pairs]:
    """Return a set's parts in two of its languages: ``train``, ``validation``, and the test parts.

    Raises
    ------
    DataError
        If there are no pairs of that name or in these languages, no mirror delivers them, or a file
        is not the true one.
    SaveError
        If the cache cannot be written.
    """
    chosen = (source_language, target_language)
    for language in chosen:
        if language not in languages_of(name):
            found = ", ".join(languages_of(name)) or "none to choose from"
            raise DataError(
                f"{name} has no language {language!r}, expected one of its own: {found}"
            )
    files = {file.name: file for file in entry(name).files}
    paths = fetch(name, data_dir, progress)
    parts = {}
    for part in dict.fromkeys(file.rpartition(".")[0] for file in files):
        source, target = (f"{part}.{language}" for language in chosen)
        for side in (source, target):
            _read_verified(name, files[side], paths[side])
        parts["validation" if part == "val" else part] = read_pairs(paths[source], paths[target])
    return parts


def _of_kind(name: str, kind: Kind) -> Entry:
    """Return what is known about a set, which must be of the kind that is asked for."""
    known = entry(name)
    if known.kind != kind:
        others = ", ".join(other.name for other in ENTRIES.values() if other.kind == kind)
        raise DataError(f"{name} is {known.kind}, expected {kind}, such as {others}")
    return known


def _folders(name: str, data_dir: Path | str | None) -> list[Path]:
    """List where a set may be, first to last."""
    chosen = data_dir or os.environ.get("UNSPOOL_DATA")
    given = [] if not chosen else [Path(chosen).expanduser() / name, Path(chosen).expanduser()]
    return [*given, cache_folder() / name]


def _find(file: str, folders: list[Path]) -> Path | None:
    candidates = (folder / f"{file}{suffix}" for folder in folders for suffix in ("", ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _progress_of(
    file: RemoteFile, progress: FetchProgress | None
) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(file.name, done, total)


def _read_verified(name: str, file: RemoteFile, path: Path) -> bytearray:
    """Read a file whole and refuse it if it is not the true one."""
    content, sha256 = read_hashed(path, limit=file.size + 1)
    if problem := file.mismatch(len(content), sha256):
        raise DataError(
            f"{path}: {problem}{_owner(sha256)}; move it away, then run `unspool data fetch {name}`"
        )
    return content


def _owner(sha256: str) -> str:
    """Say whose file it is instead: MNIST and Fashion-MNIST use the same file names."""
    owners = [known.name for known in ENTRIES.values() for f in known.files if f.sha256 == sha256]
    return f" (it is the file of {owners[0]})" if owners else ""


def _load_part(known: Entry, paths: dict[str, Path], part: str) -> Sequences:
    """Read the images and labels of one part, ``train`` or ``t10k``."""
    files = {file.name: file for file in known.files}
    images, labels = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    arrays = [
        parse_idx(_read_verified(known.name, files[file], paths[file]), str(paths[file]))
        for file in (images, labels)
    ]
    named = np.array(known.class_names)[arrays[1]]
    return pair(arrays[0], named, str(paths[images]), str(paths[labels]))


def _load_digits() -> Sequences:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Sequences.from_array(digits.images.astype(np.uint8), digits.target)
