"""dvc.yaml against the code: DVC follows no import, checks no parameter's use and no option of a command. This does.

The stages are read through DVC's own resolver, so every cell of every ``matrix`` is checked.
"""

import ast
import importlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import grimp
import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parents[2]
PARAMS_FILE = "params.yaml"
# They look on, or decide when something is loaded: no output can depend on them.
ONLOOKERS = ("flows.tracking", "flows.progress", "flows.quiet", "flows.light_imports")


@dataclass(frozen=True)
class Stage:
    name: str
    module: str
    options: dict[str, list[str]]
    deps: frozenset[str]
    params: frozenset[str]
    outs: frozenset[str]


@cache
def stages() -> list[Stage]:
    with Repo(str(ROOT)) as repo:
        return [_read(stage) for stage in repo.index.stages]


def _read(stage) -> Stage:  # type: ignore[no-untyped-def]
    words = shlex.split(stage.cmd)
    assert words[:2] == ["python", "-m"], f"{stage.addressing}: `python -m` keeps a stage's folder off sys.path, got {stage.cmd!r}"
    options: dict[str, list[str]] = {}
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        options.setdefault(flag, []).append(value)
    params = [name for dep in stage.deps if dep.def_path == PARAMS_FILE for name in dep.params]
    deps = [dep.def_path for dep in stage.deps if dep.def_path != PARAMS_FILE]
    outs = [out.def_path for out in stage.outs]
    return Stage(stage.addressing, words[2], options, frozenset(deps), frozenset(params), frozenset(outs))


def one_for_each_command() -> list[Stage]:
    """One cell of each stage: the cells differ in their arms and seeds alone."""
    return list({stage.name.partition("@")[0]: stage for stage in stages()}.values())


each_stage = pytest.mark.parametrize("stage", one_for_each_command(), ids=lambda stage: stage.name.partition("@")[0])
each_cell = pytest.mark.parametrize("stage", stages(), ids=lambda stage: stage.name)


@cache
def imports() -> grimp.ImportGraph:
    graph = grimp.build_graph("components", "flows", exclude_type_checking_imports=True, cache_dir=None)
    for module in ONLOOKERS:
        graph.remove_module(module)
    return graph


@cache
def closure(module: str) -> frozenset[str]:
    """Paths of the project's files that running the module may load, without package files that hold no code."""
    modules = {module, *imports().find_upstream_modules(module)}
    packages = {name.rsplit(".", depth)[0] for name in modules for depth in range(1, name.count(".") + 1)}
    return frozenset(path.relative_to(ROOT).as_posix() for name in modules | packages for path in _files(name))


def _files(module: str) -> Iterator[Path]:
    path = ROOT.joinpath(*module.split("."))
    if path.with_suffix(".py").exists():
        yield path.with_suffix(".py")
    elif len(ast.parse((path / "__init__.py").read_text(encoding="utf-8")).body) > 1:  # more than its docstring
        yield path / "__init__.py"


def covers(dep: str, path: str) -> bool:
    return path == dep or path.startswith(f"{dep}/")


@each_stage
def test_the_command_is_a_stage_module_with_these_options(stage: Stage) -> None:
    source = ROOT.joinpath(*stage.module.split(".")).with_suffix(".py")
    calls = [node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    declared = next(ast.literal_eval(call.args[2]) for call in calls if ast.unparse(call.func) == "stage.execute")
    assert stage.module.startswith("flows.stages.")
    assert {flag.removeprefix("--") for flag in stage.options} - {"apply", "seed"} == set(declared)


@each_stage
def test_deps_cover_every_file_that_the_command_imports(stage: Stage) -> None:
    missing = [path for path in sorted(closure(stage.module)) if not any(covers(dep, path) for dep in stage.deps)]
    assert not missing, f"{stage.name}: add to deps in dvc.yaml: {', '.join(missing)}"


@each_stage
def test_every_dep_on_code_is_imported(stage: Stage) -> None:
    code = [dep for dep in stage.deps if dep.startswith(("components", "flows"))]
    needless = [dep for dep in code if not any(covers(dep, path) for path in closure(stage.module))]
    assert not needless, f"{stage.name}: would run again for nothing when these change: {', '.join(needless)}"


@each_cell
def test_params_are_the_sections_that_the_stage_reads_and_the_overrides_that_it_applies(stage: Stage) -> None:
    sections = set(importlib.import_module(stage.module).Sections.model_fields)
    applied = set(stage.options.get("--apply", []))
    assert stage.params == sections | applied


@each_cell
def test_paths_on_the_command_line_are_deps_or_outs(stage: Stage) -> None:
    known = stage.deps | stage.outs
    for flag, (value, *_) in stage.options.items():
        if flag == "--seed" or not value.startswith(("data/", "metrics", "report")):
            continue
        assert any(covers(value, path) for path in known), f"{stage.name}: {flag} {value} is neither a dep nor an out"


@each_cell
def test_every_cell_of_a_matrix_has_a_seed_or_an_arm_of_its_own(stage: Stage) -> None:
    arguments = tuple(sorted((flag, tuple(values)) for flag, values in stage.options.items()))
    twins = [
        other.name
        for other in stages()
        if tuple(sorted((flag, tuple(values)) for flag, values in other.options.items())) == arguments and other.module == stage.module
    ]
    assert twins == [stage.name]


def test_every_stage_module_is_in_the_graph() -> None:
    modules = {f"flows.stages.{path.stem}" for path in (ROOT / "flows" / "stages").glob("[!_]*.py")}
    assert modules == {stage.module for stage in stages()}


def test_outputs_lie_where_git_and_dvc_expect_them() -> None:
    """Metrics are tracked by git; all else is DVC's and ignored by git."""
    with Repo(str(ROOT)) as repo:
        for stage in repo.index.stages:
            for out in stage.outs:
                assert out.use_cache != out.def_path.startswith("metrics/"), f"{stage.addressing}: {out.def_path}"


def test_a_missing_dep_would_be_found() -> None:
    stage = next(stage for stage in stages() if stage.module == "flows.stages.pretrain_model")
    torn = replace(stage, deps=stage.deps - {"components/transformer"})
    with pytest.raises(AssertionError, match=r"components/transformer/model\.py"):
        test_deps_cover_every_file_that_the_command_imports(torn)
