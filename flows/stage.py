"""What every stage's entry point shares: its command line, one-line errors, exit status, and the tracked run."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from components.errors import InputError
from flows import light_imports, params, quiet, tracking

S = TypeVar("S", bound=params.Sections)

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def execute(
    main: Callable[[argparse.Namespace, S, tracking.Run], None],
    sections: type[S],
    options: Sequence[str],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse ``--option VALUE`` for each required option, load the sections, and run ``main`` inside a tracked run.

    Every stage also takes ``--apply PLACE`` (repeatable: overrides at that place of params.yaml) and ``--seed N``.
    Returns the exit status: 0 done, 2 bad input (one line on stderr says which), 130 interrupted.
    """
    module = module_name(main.__module__)
    args = _parse(module, sys.modules[main.__module__].__doc__, options, argv)
    signal.signal(signal.SIGTERM, _interrupt)
    quiet.set_variables()  # before the first import of torch, which reads OMP_WAIT_POLICY once
    light_imports.install()
    try:
        loaded = params.load(sections, args.apply)
        inputs = [getattr(args, option.replace("-", "_")) for option in options]
        with tracking.run(stage_name(module), args.apply, args.seed, loaded, inputs) as run:
            main(args, loaded, run)
    except InputError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written is left, run the same command again to go on", EXIT_INTERRUPTED)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = [*str(error).splitlines(), "no memory left"][0]
        return _fail(f"out of memory ({reason}); lower training.micro_batch_sequences, or take a smaller model", 1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _fail(f"no space left on the device while writing {error.filename or 'an output'}; free some and run again", 1)
    return 0


def module_name(name: str) -> str:
    """The module's real name, also when ``python -m`` runs it under the name ``__main__``."""
    spec = sys.modules[name].__spec__
    return spec.name if spec else name


def stage_name(module: str) -> str:
    """The stage's address as DVC knows it (``pretrain_ladder@r1-0``), or the module's name outside DVC."""
    return os.environ.get("DVC_STAGE") or module.rpartition(".")[2]


def _parse(module: str, description: str | None, options: Sequence[str], argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    for option in options:
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--apply", action="append", default=[], metavar="PLACE", help="overrides in params.yaml to apply")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def _is_out_of_memory(error: Exception) -> bool:
    """Torch says so in its own words, of a GPU and of a CPU."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in ("out of memory", "can't allocate memory"))


def _interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return status
