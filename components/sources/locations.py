"""Files of a source: those in inputs/ that match a glob, or those at a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from components.errors import InputError
from components.sources.config import INPUT_FOLDER, LocatedConfig, UrlConfig


def list_files(source: str, config: LocatedConfig) -> list[str]:
    """Names of the files, sorted: relative to the working folder (the top of the repository), or to what comes before the
    first ``*`` of the URL, so that no name is an absolute path.

    Raises:
        InputError: nothing matches, or the URL cannot be reached.
    """
    if isinstance(config.glob, UrlConfig):
        found, remedy = _list_url(source, config.glob.url), f"{config.glob.url}; mend sources.{source}.glob.url"
    else:
        found, remedy = list_inputs(config.glob), f"{config.glob}; put text there or mend sources.{source}.glob"
    if not found:
        raise InputError(f"sources.{source}: no file matches {remedy}")
    return found


def list_inputs(glob: str) -> list[str]:
    """Files below the working folder that match, sorted; the guide of inputs/ is not one of them."""
    guide = Path(INPUT_FOLDER, "README.md")
    return sorted(path.as_posix() for path in Path().glob(glob) if path.is_file() and path != guide)


@contextmanager
def open_file(source: str, config: LocatedConfig, name: str) -> Iterator[BinaryIO]:
    """The bytes of one of the listed files; InputError when it cannot be opened or a read fails half-way."""
    try:
        with _open(source, config, name) as file:
            yield file
    except OSError as error:
        raise _unreachable(source, name, error) from None


def _open(source: str, config: LocatedConfig, name: str) -> BinaryIO:
    if not isinstance(config.glob, UrlConfig):
        return Path(name).open("rb")
    import fsspec

    try:
        file: BinaryIO = fsspec.open(_split(config.glob.url)[0] + name, "rb").open()
    except Exception as error:  # each protocol has errors of its own
        raise _unreachable(source, name, error) from None
    return file


def origin(source: str, config: LocatedConfig) -> dict[str, Any]:
    """Glob, or URL and revision, and number of files."""
    place = config.glob.model_dump() if isinstance(config.glob, UrlConfig) else {"glob": config.glob}
    return {**place, "files": len(list_files(source, config))}


def _list_url(source: str, url: str) -> list[str]:
    from fsspec.core import url_to_fs

    root, pattern = _split(url)
    if "*" not in pattern:
        return [pattern]
    try:
        system, inside = url_to_fs(url)
        base = url_to_fs(root)[1].rstrip("/")
        return sorted(path.removeprefix(base).lstrip("/") for path in system.glob(inside) if system.isfile(path))
    except Exception as error:  # each protocol has errors of its own
        raise _unreachable(source, url, error) from None


def _split(url: str) -> tuple[str, str]:
    """``s3://bucket/2019/*/a.gz`` -> ``s3://bucket/2019/``, ``*/a.gz``; without ``*``, before the last part."""
    fixed = url.partition("*")[0]
    root = fixed[: fixed.rindex("/") + 1]
    return root, url[len(root) :]


def _unreachable(source: str, name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"sources.{source}: {name} cannot be read ({reason}); mend its place or its rights, and run again")
