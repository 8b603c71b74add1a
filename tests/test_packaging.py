"""What is built from the repository: a wheel and a source archive, with a compiler and without."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IGNORED = {"__pycache__", ".DS_Store"}


def build(kind: str, source: Path, out: Path, **environment: str) -> Path:
    """Call the build backend as pip does, with the tools of this environment."""
    code = (
        f"import sys; from scikit_build_core import build; print(build.build_{kind}(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)],
        cwd=source,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel_without_compiler(sdist, tmp_path_factory):
    """A wheel from the source archive, on a machine that has no compiler."""
    folder = tmp_path_factory.mktemp("source")
    options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in Python 3.11.2
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **options)
    (source,) = folder.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel"), CXX="/nonexistent")


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not IGNORED & set(path.parts)
    }


def test_the_source_archive_holds_the_repository_and_nothing_else(sdist):
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()}
    held = {name.as_posix() for name in names}
    for folder in ("csrc", "src", "tests"):
        expected = {f"{folder}/{name}" for name in files_of(ROOT / folder)}
        assert {name for name in held if name.startswith(f"{folder}/")} == {
            name for name in expected if not name.endswith((".so", ".pyd"))
        }
    assert {"CMakeLists.txt", "LICENSE", "CHANGELOG.md", "constraints.txt", "Makefile"} <= held
    assert not {"runs", "build", ".venv"} & {name.parts[0] for name in names if name.parts}


def test_a_wheel_holds_the_whole_package_and_the_licence(wheel_without_compiler):
    with zipfile.ZipFile(wheel_without_compiler) as wheel:
        held = set(wheel.namelist())
    package = {f"unspool/{name}" for name in files_of(ROOT / "src" / "unspool")}
    assert {name for name in package if not name.endswith((".so", ".pyd"))} <= held
    assert {"unspool/py.typed", "unspool/recipes/digits.toml"} <= held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == {"unspool"}


def test_without_a_compiler_the_package_works_and_says_why_it_has_no_native_module(
    wheel_without_compiler, tmp_path
):
    with zipfile.ZipFile(wheel_without_compiler) as wheel:
        assert not any(name.endswith((".so", ".pyd")) for name in wheel.namelist())
        wheel.extractall(tmp_path)
    # -S -E: without the site folders, where this environment's own unspool lives
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from unspool import native; "
        "print(native.__file__, native.instruction_sets(), native.absence(), sep='\\n')"
    )
    answer = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert answer[0].startswith(str(tmp_path))
    assert answer[1] == "()"
    assert "no working C++ compiler was found when unspool was installed" in answer[2]


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [
        Requirement(line) for part in (PROJECT["dependencies"], *extras.values()) for line in part
    ]


def test_the_constraints_pin_every_requirement_within_its_range():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "a name and a plain version"
    versions = {canonicalize_name(name): version for name, version in (p.split("==") for p in pins)}
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        if name != "unspool":
            assert requirement.specifier.contains(versions[name]), requirement


def test_the_version_is_the_same_everywhere():
    import unspool

    version = PROJECT["version"]
    assert unspool.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
