"""A small reserved corpus and a configuration, shared by the tests of the tasks."""

from typing import Any

from components.sources.documents import Document
from components.tasks.config import TasksConfig

LIBRARIES = ("numpy", "scipy", "pandas", "networkx", "torch")


def tasks_config(synthetic_items: tuple[int, int] = (20, 40), **overrides: Any) -> TasksConfig:
    size = {"train_items": 30, "test_items": 10, "max_chars": 120}
    values: dict[str, Any] = {
        "seed": 0,
        "test_share": 0.3,
        "min_chars": 40,
        "min_summary_chars": 10,
        "library": size | {"aliases": ["np", "pd"]},
        "summary_match": size,
        "see_also": size,
        "name_choice": size | {"choices": 4},
        "synthetic": {
            "train_items": synthetic_items[0],
            "test_items": synthetic_items[1],
            "most_frequent_words": 1000,
            "min_word_chars": 6,
            "max_word_chars": 15,
        },
        "own": {},
    }
    return TasksConfig.model_validate(values | overrides)


def documents(per_library: int = 60) -> list[Document]:
    """Docstring documents with a heading, a summary, a body and a See Also section, none like another."""
    found = []
    for library in LIBRARIES:
        for i in range(per_library):
            name = f"compute_{library[:2]}_{i}"
            text = (
                f"{library}.core.{name}(a, b)\n\n"
                f"Compute quantity {i} of {library} arrays.\n\n"
                f"The function {name} takes np.array values and returns number {i} of them, as {library} does.\n\n"
                f"Parameters\n----------\na : int\n    Value {i}.\n\n"
                f"See Also\n--------\nother_{i} : Describes relative {i} in {library[:2]}.\ncousin_{i}\n"
            )
            meta = {"distribution": library, "module": f"{library}.core", "name": name, "kind": "function"}
            found.append(Document(f"docs:{library}/{library}/core.py::{name}", "docs", text, meta))
    return sorted(found, key=lambda document: document.id)
