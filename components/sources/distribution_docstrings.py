"""Docstrings of installed distributions, found by parsing and never by importing.

The text of a document begins with what it documents, so that a reader, and a language model, knows:
``numpy.linalg.svd(a, full_matrices=True, ...)``, an empty line, the docstring.
"""

import ast
import gc
import inspect
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

from components.sources import distributions
from components.sources.documents import Document, Entry, Skipped, without_lone_surrogates

_TESTS = re.compile(r"(^|/)(tests?/|conftest\.py$|test_[^/]*\.py$|[^/]*_tests?\.py$)")
_PARSING = threading.Lock()  # the filters of warnings and the collector belong to the whole process
_QUOTES = (b'"""', b"'''")

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Owner = ast.Module | ast.ClassDef | _Function


def read(source: str, distribution: str) -> Iterator[Entry]:
    """Of one distribution, a document for each docstring of a module, class, function or method."""
    for inside, path in distributions.list_files(source, distribution, (".py",)):
        if _TESTS.search(inside):
            continue
        content = distributions.read_bytes(source, distribution, path)
        if any(quotes in content for quotes in _QUOTES):  # parsing costs ten times as much as looking
            yield from documents_of(source, distribution, inside, content)


def documents_of(source: str, distribution: str, inside: str, content: bytes) -> list[Entry]:
    """The docstrings of one file. A name that is defined again (an overload) gets ``@2``, ``@3`` in its id."""
    file_id = f"{source}:{distribution}/{inside}"
    tree = _parse(content)
    if tree is None:
        return [Skipped(file_id, source, "not_python")]
    module = module_name(inside)
    found: list[Entry] = []
    seen: Counter[str] = Counter()
    for owner, name, kind in _owners(tree):
        docstring = ast.get_docstring(owner, clean=False)
        if not docstring or not docstring.strip():
            continue
        seen[name] += 1
        again = f"@{seen[name]}" if seen[name] > 1 else ""
        text = f"{_heading(owner, module, name, kind)}\n\n{inspect.cleandoc(docstring).strip()}"
        meta = {"distribution": distribution, "module": module, "name": name.rpartition(".")[2] or module, "kind": kind}
        found.append(Document(f"{file_id}::{name or '<module>'}{again}", source, without_lone_surrogates(text), meta))
    return found


def _parse(content: bytes) -> ast.Module | None:
    with _PARSING:
        collecting = gc.isenabled()
        gc.disable()  # a tree has no cycles; looking for some in it takes a third of the time
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # stray backslashes of other people's strings
                return ast.parse(content)
        except (SyntaxError, ValueError):
            return None
        finally:
            if collecting:
                gc.enable()


def module_name(inside: str) -> str:
    """``numpy/linalg/__init__.py`` -> ``numpy.linalg``."""
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _owners(tree: ast.Module) -> Iterator[tuple[_Owner, str, str]]:
    """Everything that can have a docstring and be reached from outside: (node, qualified name, kind), in file order."""
    yield tree, "", "module"
    waiting: list[tuple[ast.AST, str, str]] = [(node, "", "function") for node in reversed(tree.body)]
    while waiting:
        node, prefix, function_kind = waiting.pop()
        if isinstance(node, _Function):
            yield node, prefix + node.name, function_kind
        elif isinstance(node, ast.ClassDef):
            yield node, prefix + node.name, "class"
            waiting += [(child, f"{prefix}{node.name}.", "method") for child in reversed(node.body)]
        elif isinstance(node, ast.If | ast.Try):
            waiting += [(child, prefix, function_kind) for child in reversed([*node.body, *node.orelse])]


def _heading(owner: _Owner, module: str, name: str, kind: str) -> str:
    """The dotted name as a user writes it, with the parameters but not their annotations."""
    # What a private module defines is mostly offered by the package around it: numpy.linalg._linalg.svd is numpy.linalg.svd.
    public = ".".join(takewhile(lambda part: not part.startswith("_"), module.split(".")))
    dotted = f"{public or module}.{name}".removesuffix(".")
    if isinstance(owner, ast.Module):
        return dotted
    if isinstance(owner, ast.ClassDef):
        made_by = next((node for node in owner.body if isinstance(node, _Function) and node.name == "__init__"), None)
        return dotted if made_by is None else f"{dotted}({_parameters(made_by.args, skip_first=True)})"
    return f"{dotted}({_parameters(owner.args, skip_first=kind == 'method')})"


def _parameters(arguments: ast.arguments, skip_first: bool) -> str:
    positional = [*arguments.posonlyargs, *arguments.args]
    no_default = len(positional) - len(arguments.defaults)
    defaults = [None] * no_default + list(arguments.defaults)
    shown = [_parameter(argument, default) for argument, default in zip(positional, defaults, strict=True)]
    if skip_first and shown and positional[0].arg in ("self", "cls"):
        shown = shown[1:]
    if arguments.vararg:
        shown.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        shown.append("*")
    shown += [_parameter(argument, default) for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        shown.append(f"**{arguments.kwarg.arg}")
    return ", ".join(shown)


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={ast.unparse(default)}"
