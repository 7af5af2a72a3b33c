"""Rules that no import contract can state: what the core may touch, what may be imported where, how long a file is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "components").rglob("*.py"))
SHELL = sorted((ROOT / "flows").rglob("*.py"))
STAGES = sorted((ROOT / "flows" / "stages").glob("[!_]*.py"))
MAX_LINES = 300
MAX_STAGE_LINES = 80
HEAVY = {"torch", "lightning", "torchmetrics", "mlflow", "scipy", "pandas", "pyarrow", "matplotlib", "datasets", "numba", "sklearn"}
# What would make a result depend on more than arguments and files.
IMPURE_MODULES = {"time", "datetime", "socket", "subprocess", "urllib", "requests", "httpx", "getpass", "platform"}
IMPURE_NAMES = {"os.environ", "os.getenv", "os.urandom", "sys.argv", "random.random", "np.random.seed", "np.random.rand", "uuid.uuid4"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_reads_no_clock_network_or_environment_and_prints_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not imported(ast.walk(tree)) & IMPURE_MODULES
    assert not names & IMPURE_NAMES
    assert not calls & {"print", "input", "open"}


@pytest.mark.parametrize("path", [*CORE, *SHELL], ids=name_of)
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    limit = MAX_STAGE_LINES if path in STAGES else MAX_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


def test_nothing_heavy_is_loaded_before_there_is_work() -> None:
    """Configurations, parameters, the graph, the command lines: what ``--help`` and a run without changes load."""
    modules = [
        name_of(path).removesuffix(".py").replace("/", ".")
        for path in [*SHELL, *CORE]
        if path.name != "__init__.py" and (path in SHELL or path.name == "config.py")
    ]
    light = [module for module in modules if module not in ("flows.pipeline_flow", "flows.command_flows", "flows.showing")]
    code = f"import sys\nfor name in {light}: __import__(name)\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & (HEAVY | {"prefect", "dvc", "tokenizers"})
    assert "pydantic" in loaded  # else the list above is of nothing


def test_what_reads_the_parameters_of_a_stage_is_its_class_of_sections() -> None:
    for path in STAGES:
        classes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)]
        assert any(node.name == "Sections" and ast.unparse(node.bases[0]) == "params.Sections" for node in classes), name_of(path)


@pytest.mark.parametrize("path", sorted((ROOT / "components").rglob("config.py")), ids=name_of)
def test_no_parameter_has_a_default(path: Path) -> None:
    """It would be a number that can change a result and that params.yaml does not show."""
    for owner in ast.parse(path.read_text(encoding="utf-8")).body:
        if not (isinstance(owner, ast.ClassDef) and owner.name.endswith("Config")):
            continue
        for field in owner.body:
            if isinstance(field, ast.AnnAssign) and field.value is not None:
                assert isinstance(field.value, ast.Call), f"{owner.name}.{ast.unparse(field.target)} has a default"
                constraints = {keyword.arg for keyword in field.value.keywords}
                assert not field.value.args and not constraints & {"default", "default_factory"}, (
                    f"{owner.name}.{ast.unparse(field.target)}"
                )
