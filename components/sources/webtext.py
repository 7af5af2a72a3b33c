"""The rules of WebText (GPT-2, section 2.1), as a filter on documents that carry a URL.

"all outbound links from Reddit ... which received at least 3 karma"; Wikipedia removed, since other data sets hold it; English
only. How one page came to be one document is not printed; here it is one copy per URL.
"""

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.sources import files, locations
from components.sources.config import WebTextConfig
from components.sources.documents import Document, Entry, Skipped

if TYPE_CHECKING:
    import numpy as np

# Authority, path and query of a URL (RFC 3986, appendix B); scheme and fragment are left aside.
_URL = re.compile(r"(?:[^:/?#]+:)?(?://([^/?#]*))?([^?#]*)(\?[^#]+)?", re.DOTALL)
_DEFAULT_PORT = re.compile(r":(80|443)?$")


class Links:
    """Best karma of each page that is linked to: 16 bytes a page, for a list may hold 45 million (GPT-2, section 2.1)."""

    def __init__(self, keys: "np.ndarray", karma: "np.ndarray") -> None:
        import numpy as np

        order = np.lexsort((karma, keys))
        keys, karma = keys[order], karma[order]
        is_best = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.zeros(0, bool)
        self._keys, self._karma = keys[is_best], karma[is_best]

    def karma(self, url: str) -> float | None:
        """Of the best link to a page; None when there is none."""
        key = _key(url)
        place = int(self._keys.searchsorted(key))
        return float(self._karma[place]) if place < len(self._keys) and self._keys[place] == key else None


def judge(entries: Iterable[Entry], config: WebTextConfig, links: Links) -> Iterator[Entry]:
    """Documents that satisfy the rules for one document; the others as Skipped, by the first of no_url, wikipedia, not_linked,
    low_karma, not_english. What was skipped before stays as it is."""
    for entry in entries:
        reason = _reason(entry, config, links) if isinstance(entry, Document) else None
        yield Skipped(entry.id, entry.source, reason) if reason else entry


def keep_one_copy_per_url(entries: Iterable[Entry]) -> list[Entry]:
    """Of the documents of one page, the one of the smallest id, whatever the order; the others as Skipped (repeated_url)."""
    entries = list(entries)
    kept: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, Document):
            page = normalize_url(entry.meta["url"])
            kept[page] = min(entry.id, kept.get(page, entry.id))
    return [
        Skipped(entry.id, entry.source, "repeated_url")
        if isinstance(entry, Document) and kept[normalize_url(entry.meta["url"])] != entry.id
        else entry
        for entry in entries
    ]


def normalize_url(url: str) -> str:
    """One name for one page: without scheme, ``www.``, default port, fragment and last slash, the host in lower case."""
    found = _URL.match(url.strip())
    authority, path, query = found.groups("") if found else ("", url, "")
    host = _DEFAULT_PORT.sub("", authority.lower()).rstrip(".").removeprefix("www.")
    return host + path.rstrip("/") + query


def is_wikipedia(url: str) -> bool:
    """Whether a page lies in the domain of any Wikipedia."""
    host = re.split(r"[/?]", normalize_url(url))[0].rpartition("@")[2].partition(":")[0]
    return host == "wikipedia.org" or host.endswith(".wikipedia.org")


def english_probability(text: str, language_chars: int) -> float:
    """Probability that the beginning of a text is English, by py3langid; 0 for a text without letters it knows."""
    ranked: list[tuple[str, float]] = _identifier().rank(text[:language_chars])
    return dict(ranked)["en"]


def load_links(source: str, config: WebTextConfig) -> Links:
    """Read the list of links.

    Raises:
        InputError: no file, or a line that is no link: karma decides what is kept, so none is passed over.
    """
    names = locations.list_inputs(config.links)
    if not names:
        raise InputError(f"sources.{source}: no file matches {config.links}; put the links there or mend sources.{source}.webtext.links")
    states = tuple((name, (state := Path(name).stat()).st_mtime_ns, state.st_size) for name in names)
    return _load_links(states, config.url_field, config.karma_field)


@lru_cache(maxsize=1)  # each unit of a source asks for them
def _load_links(states: tuple[tuple[str, int, int], ...], url_field: str, karma_field: str) -> Links:
    import numpy as np

    keys, karma = array("Q"), array("d")
    for name, _, _ in states:
        with Path(name).open("rb") as raw:
            for number, line in files.read_lines(raw, None):
                link = line if isinstance(line, str) else files.parse_object(line)
                url, value = (link.get(url_field), link.get(karma_field)) if isinstance(link, dict) else (None, None)
                if not isinstance(url, str) or isinstance(value, bool) or not isinstance(value, int | float):
                    problem = link if isinstance(link, str) else f"needs text in {url_field!r} and a number in {karma_field!r}"
                    raise InputError(f"{name}: line {number} is no link ({problem}); mend or remove it")
                keys.append(_key(url))
                karma.append(value)
    return Links(np.frombuffer(keys, np.uint64), np.frombuffer(karma, np.float64))


def _reason(document: Document, config: WebTextConfig, links: Links) -> str | None:
    url = document.meta.get("url")
    if url is None:
        return "no_url"
    if is_wikipedia(url):
        return "wikipedia"
    karma = links.karma(url)
    if karma is None:
        return "not_linked"
    if karma < config.min_karma:
        return "low_karma"
    if english_probability(document.text, config.language_chars) < config.min_english_probability:
        return "not_english"
    return None


def _key(url: str) -> int:
    return int.from_bytes(hashlib.blake2b(normalize_url(url).encode("utf-8", "replace"), digest_size=8).digest(), "little")


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
