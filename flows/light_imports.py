"""Start a training process in half the time: what Lightning and torch import but training never touches is loaded on first use.

Measured here, CPU seconds to the first optimiser step: 5.4 plain, 2.4 with this. Four packages make the difference:

- ``torch._dynamo`` and ``torch._inductor`` (1.5 s with triton and sympy): every optimiser asks the one to leave a function
  uncompiled, and the switch to deterministic algorithms is noted in the other's configuration;
- ``torchmetrics`` (1.5 s): its top package imports scipy.signal for one attribute and every metric there is;
  Lightning needs two base classes;
- ``torchmetrics.utilities.plot`` (0.4 s): imports matplotlib.

Each gets a stand-in that knows the few names a training run uses. Asking it for any other name, as ``torch.compile``
does, runs the real package in its place. Results cannot differ: nothing here computes
(tests/pipeline/test_light_imports.py compares weights bit for bit).
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """A module that becomes the real one, in place, when asked for a name it does not hold."""

    def __getattr__(self, name: str) -> Any:
        if name in (known := _LAZY_NAMES.get(self.__name__, {})):
            value = known[name]()
        elif name.startswith("__"):
            raise AttributeError(name)
        else:
            _become_real(self)
            value = getattr(self, name)
        self.__dict__[name] = value
        return value


class _StandInLoader(Loader):
    """Makes the stand-in; keeps the loader of the real module for later."""

    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(_NAMES[module.__name__](module))


class _LoadedAlready(Loader):
    """Hands over a module that loading its package brought along."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = sys.modules.get(fullname.rpartition(".")[0])
        if isinstance(package, _StandIn) and fullname.startswith("torch.") and fullname not in _LIGHT_PARTS:
            _become_real(package)
            return ModuleSpec(fullname, _LoadedAlready()) if fullname in sys.modules else None
        if fullname not in _NAMES:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _StandInLoader(spec.loader)
        return spec


def install() -> None:
    """Take effect for everything imported from here on; what is there already stays."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _become_real(module: ModuleType) -> None:
    spec = module.__spec__
    if isinstance(module, _StandIn) and spec is not None and isinstance(spec.loader, _StandInLoader):
        spec.loader = module.__loader__ = spec.loader.real
        module.__class__ = ModuleType  # type: ignore[assignment]  # a plain module from here on
        spec.loader.exec_module(module)


def _dynamo_names(module: ModuleType) -> dict[str, Any]:
    class _IsOptimized(type):
        def __instancecheck__(cls, instance: object) -> bool:
            real = sys.modules.get("torch._dynamo.eval_frame")
            return real is not None and isinstance(instance, real.OptimizedModule)

    class OptimizedModule(metaclass=_IsOptimized):
        """Lightning only asks whether a model is one."""

    def disable(fn: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
        return fn if fn is not None else lambda function: function  # nothing compiles, so nothing need be kept from it

    return {"OptimizedModule": OptimizedModule, "disable": disable, "graph_break": lambda *_, **__: None}


def _torchmetrics_names(module: ModuleType) -> dict[str, Any]:
    import logging

    return {"_logger": logging.getLogger("torchmetrics")}


def _plot_names(module: ModuleType) -> dict[str, Any]:
    def plot_single_or_multi_val(*args: Any, **kwargs: Any) -> Any:
        _become_real(module)
        return module.plot_single_or_multi_val(*args, **kwargs)

    return {"_AX_TYPE": Any, "_PLOT_OUT_TYPE": Any, "plot_single_or_multi_val": plot_single_or_multi_val}


def _metric() -> Any:
    importlib.import_module("torchmetrics.utilities")  # the two import one another; this is the end that works
    return importlib.import_module("torchmetrics.metric").Metric


_NAMES: dict[str, Callable[[ModuleType], dict[str, Any]]] = {
    "torch._dynamo": _dynamo_names,
    "torch._inductor": lambda _: {},
    "torchmetrics": _torchmetrics_names,
    "torchmetrics.utilities.plot": _plot_names,
}
_LIGHT_PARTS = ("torch._inductor.config", "torch._inductor.custom_graph_pass")  # of a stand-in that stays one
_LAZY_NAMES: dict[str, dict[str, Callable[[], Any]]] = {
    "torchmetrics": {
        "__version__": lambda: metadata.version("torchmetrics"),
        "Metric": _metric,
        "MetricCollection": lambda: importlib.import_module("torchmetrics.collections").MetricCollection,
    },
}
