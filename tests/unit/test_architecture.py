"""The floors of the house: imports run down only, without circles, and nothing on a tile's way imports training."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("pipeline", "infra", "stac")

# From the ground floor up, in the order in which a height travels; a room may import the rooms above it in this list.
FLOORS = (
    "pipeline.version",
    "pipeline.errors",
    "pipeline.core",
    "pipeline.settings",
    "pipeline.formats",
    "pipeline.sources",
    "pipeline.manifest",
    "pipeline.file_lists",
    "pipeline.job",
    "pipeline.resampling",
    "pipeline.vertical",
    "pipeline.coregistration",
    "pipeline.borders",
    "pipeline.validation",
    "pipeline.superres",
    "pipeline.implicit",
    "pipeline.bare_earth",
    "pipeline.tile.stages",
    "pipeline.planning",
    "pipeline.tile",
    "pipeline.exports",
    "pipeline.demo",
    "pipeline.learning.bare_earth",
    "pipeline.learning.image_heights",
    "pipeline.learning.superres",
    "pipeline.learning.sensors",
    "stac.documents",
    "stac.publishing",
    "stac.serving",
    "stac.verify",
    "infra.stores",
    "infra.objects",
    "infra.engines",
    "infra.reporting",
    "infra.runs",
    "infra.machine",
    "infra.api",
    "infra.cluster",
    "infra.service",
    "infra.cli",
)
CLUSTER_LIBRARIES = {"ray", "s3fs", "boto3", "botocore", "aiobotocore"}
LEAST_TESTED_BY_NAME = 0.8
MOST_LOOSE_MODULES = {"pipeline": 6, "infra": 2, "stac": 2}


def module_of(path: Path) -> str:
    """Name of a module below `orograph`, as `pipeline.core.grid`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, also inside functions: ours as `pipeline.core.grid`, other packages by their first name."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first != "orograph":
                found.add(first)
            elif rest:
                while rest and rest not in modules():
                    rest = rest.rpartition(".")[0]
                found.add(rest or first)
    return frozenset(found - {module})


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name in modules()}


def room_of(module: str) -> str | None:
    """The most special room that contains a module; None for the three packages themselves."""
    rooms = [room for room in FLOORS if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len, default=None)


def reached_from(module: str) -> set[str]:
    found, todo = set(), [module]
    while todo:
        for name in ours(todo.pop()) - found:
            found.add(name)
            todo.append(name)
    return found


def test_every_module_is_in_a_room() -> None:
    roomless = {module for module in modules() if room_of(module) is None}
    assert roomless == {*FOLDERS, "pipeline.learning"}


def test_no_import_runs_back_up() -> None:
    offences = []
    for module in modules():
        floor = room_of(module)
        for name in ours(module):
            other = room_of(name)
            if floor and other and FLOORS.index(other) > FLOORS.index(floor):
                offences.append(f"{module} imports {name}")
    assert offences == []


def test_no_circle_of_files() -> None:
    try:
        TopologicalSorter({module: ours(module) for module in modules()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("start", ["pipeline.tile.run", "infra.runs.tile_runner", "infra.runs.cell_runner"])
def test_nothing_on_a_tiles_way_imports_training(start: str) -> None:
    reached = reached_from(start)
    assert len(reached) > 30, "the walk saw too little to prove anything"
    assert not {name for name in reached if name.startswith("pipeline.learning")}


def test_modules_load_where_unix_libraries_are_missing() -> None:
    """`fcntl` and `resource` are imported where they are used, so that every module loads on every platform."""
    offences = [
        module
        for module, path in modules().items()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        if name in {"fcntl", "resource", "pwd", "grp", "termios"}
    ]
    assert offences == []


@pytest.mark.parametrize("folder", ["pipeline", "stac"])
def test_only_infra_knows_clusters_and_stores(folder: str) -> None:
    offences = {
        module: sorted(imports(module) & CLUSTER_LIBRARIES)
        for module in modules()
        if module.startswith(folder) and imports(module) & CLUSTER_LIBRARIES
    }
    assert offences == {}


def test_modules_are_imported_by_their_one_name() -> None:
    assert {module for module in modules() if imports(module) & {*FOLDERS, "tests"}} == set()


@pytest.mark.parametrize(("folder", "most"), MOST_LOOSE_MODULES.items())
def test_modules_live_in_rooms(folder: str, most: int) -> None:
    loose = [path.name for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= most, loose


def test_the_package_links_the_folders() -> None:
    links = {path.name: path.resolve() for path in (ROOT / "orograph").iterdir() if path.is_symlink()}
    assert links == {folder: ROOT / folder for folder in FOLDERS}


def test_top_level_holds_exactly_the_agreed_folders() -> None:
    folders = {
        p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".") and (p / "__init__.py").exists()
    }
    assert folders <= {"orograph", *FOLDERS, "tests"}


def test_modules_have_a_test_of_their_name() -> None:
    """A reader finds the test of `pipeline/core/grid.py` as `tests/unit/pipeline/core/test_grid.py`.

    A test of another folder counts where its name is that of one module only.
    """
    named = [path for module, path in modules().items() if path.name != "__init__.py"]
    elsewhere = {
        path.name
        for folder in ("integration", "property", "faults")
        for path in (ROOT / "tests" / folder).glob("test_*.py")
    }
    stems = Counter(path.name for path in named)
    untested = [
        path.relative_to(ROOT).as_posix()
        for path in named
        if not (ROOT / "tests/unit" / path.relative_to(ROOT).with_name(f"test_{path.name}")).exists()
        and not (stems[path.name] == 1 and f"test_{path.name}" in elsewhere)
    ]
    share = 1 - len(untested) / len(named)
    assert share >= LEAST_TESTED_BY_NAME, f"{share:.1%} of {len(named)} modules; without one: {untested}"
