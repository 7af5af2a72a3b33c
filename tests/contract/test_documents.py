"""What the documents promise is there: files, targets of make, modules, stages, pictures."""

import importlib.util
import re
from pathlib import Path

import pytest

from flows import graph

DOCUMENTS = [Path("README.md"), Path("flows/README.md"), Path("inputs/README.md"), Path("tasks/README.md")]
MADE_BY_A_RUN = ("data/", "report/", "metrics/", "scratch/", ".venv", "dvc.lock")


def named(pattern: str) -> list[tuple[str, str]]:
    """(document, what the pattern's group found) over all documents."""
    return [(str(path), found) for path in DOCUMENTS for found in re.findall(pattern, path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("document", "target"), sorted(set(named(r"`?make ([a-z]+)\b(?=`|\s+#)"))))
def test_target_of_make_is_there(document: str, target: str) -> None:
    assert re.search(rf"^{target}:", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE), f"{document} names make {target}"


@pytest.mark.parametrize(("document", "module"), sorted(set(named(r"python -m ([a-z_.]+)"))))
def test_module_is_there(document: str, module: str) -> None:
    assert importlib.util.find_spec(module), f"{document} names python -m {module}"


@pytest.mark.parametrize(("document", "path"), sorted(set(named(r"`([a-z_./]+/[a-z_./]*|[a-z_.]+\.(?:md|yaml|toml|lock))`"))))
def test_file_is_there(document: str, path: str) -> None:
    if not path.startswith(MADE_BY_A_RUN):
        beside = Path(document).parent / path
        assert Path(path).exists() or beside.exists(), f"{document} names {path}"


@pytest.mark.parametrize(("document", "path"), sorted(set(named(r"\]\(([^)#:]+)\)"))))
def test_link_leads_somewhere(document: str, path: str) -> None:
    assert (Path(document).parent / path).exists(), f"{document} links to {path}"


def test_every_stage_is_in_the_readme() -> None:
    stages = {cell.name.partition("@")[0] for cell in graph.load(Path.cwd()).cells()}
    text = Path("README.md").read_text(encoding="utf-8")
    assert {name for name in stages if not name.startswith("ablate_") and f"`{name}" not in text} == set()
    assert {name.partition("@")[0] for name in re.findall(r"^\| `([a-z_]+(?:@[A-Z-]+)?)` \|", text, re.MULTILINE)} - stages <= {
        "ablate_STUDY"
    }


def test_spark_is_of_the_version_of_its_client() -> None:
    server = re.search(r"^pyspark==(\S+)", Path("tests/spark.lock").read_text(encoding="utf-8"), re.MULTILINE)
    client = re.search(r"^pyspark-client==(\S+)", Path("requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert server and client and server[1] == client[1]


def test_make_test_runs_every_folder_of_tests() -> None:
    recipes = re.findall(r"^test-\w+:.*\n\t.*-m pytest (.*)$", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    run = [folder for recipe in recipes for folder in recipe.split()]
    assert sorted(run) == sorted({str(path.parent) for path in Path("tests").glob("**/test_*.py")})
