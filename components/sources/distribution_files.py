"""Text files of installed distributions: noisy, with real duplicates. They play GPT-3's Common Crawl."""

import re
from collections.abc import Iterator

from components.sources import distributions
from components.sources.config import DistributionFilesConfig
from components.sources.documents import Document, Entry, Skipped


def read(source: str, config: DistributionFilesConfig, distribution: str) -> Iterator[Entry]:
    """Of one distribution, a document a passage; files too large or not UTF-8 come out as Skipped."""
    for inside, path in distributions.list_files(source, distribution, tuple(config.suffixes)):
        file_id = f"{source}:{distribution}/{inside}"
        content = distributions.read_bytes(source, distribution, path)
        if len(content) > config.max_document_bytes:
            yield Skipped(file_id, source, "too_large")
            continue
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            yield Skipped(file_id, source, "not_utf8")
            continue
        for number, passage in enumerate(passages(text, config.passage_chars), start=1):
            yield Document(f"{file_id}::{number:04d}", source, passage, {"distribution": distribution})


def passages(text: str, max_chars: int) -> list[str]:
    """Cut at empty lines, each passage as long as ``max_chars`` allows; white space around passages is dropped."""
    found = [""]
    for paragraph in re.split(r"\n[ \t\r]*\n", text):
        longer = f"{found[-1]}\n\n{paragraph}" if found[-1] else paragraph
        if found[-1] and len(longer) > max_chars:
            found.append(paragraph)
        else:
            found[-1] = longer
    return [passage.strip("\n") for passage in found if passage.strip()]
