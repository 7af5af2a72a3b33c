"""Files of installed distributions, read in place."""

from importlib import metadata
from pathlib import Path
from typing import Any

from components.errors import InputError

# Installers write these; they may name folders of this machine.
_WRITTEN_BY_INSTALLERS = ("direct_url.json", "uv_cache.json")


def list_files(source: str, distribution: str, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files whose name ends with one of ``suffixes``: (path inside the distribution, where it lies), sorted.

    Raises:
        InputError: the distribution is not installed, has no record of its files, or none of them is wanted.
    """
    recorded = _installed(source, distribution).files
    wanted = [
        (str(file), Path(str(file.locate())))
        for file in recorded or ()
        if file.name.endswith(suffixes) and ".." not in file.parts and file.name not in _WRITTEN_BY_INSTALLERS
    ]
    if not wanted:
        raise InputError(f"sources.{source}: distribution {distribution!r} holds no file ending in {', '.join(suffixes)}; remove its name")
    return sorted(wanted)


def read_bytes(source: str, distribution: str, path: Path) -> bytes:
    """The content of an installed file; InputError when the record names it but it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"sources.{source}: {distribution} lacks {path.name}, which its record names; install it again") from None


def origin(source: str, distribution: str, suffixes: tuple[str, ...]) -> dict[str, Any]:
    """Name, version and number of wanted files."""
    version = _installed(source, distribution).version
    return {"distribution": distribution, "version": version, "files": len(list_files(source, distribution, suffixes))}


def _installed(source: str, distribution: str) -> metadata.Distribution:
    """By the standard library's own finder: a package that imports ``importlib_metadata`` puts another one in its place, for the whole
    process, which passes over recorded files that are gone."""
    context = metadata.DistributionFinder.Context(name=distribution)
    found = next(iter(metadata.MetadataPathFinder.find_distributions(context)), None) if distribution else None
    if found is None:
        remedy = "add it to pyproject.toml and run make lock, or remove its name"
        raise InputError(f"sources.{source}: distribution {distribution!r} is not installed; {remedy}")
    return found
