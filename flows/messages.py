"""What a stage says to its recorder (flows/tracking.py), completed with what cannot wait until MLflow answers."""

import base64
import gzip
import hashlib
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import cells, provenance
from flows.tracking import COMMIT_TAG, one_line

INPUT_TAG, OUT_TAG = "data.", "out."  # and a path: its hash, as DVC knows it
NOT_KEPT_TAG = "not_kept"  # why the tree of the run cannot be rebuilt
SILENT_END = "the process ended without a word: killed, or out of memory"


def complete(message: dict[str, Any], locks_are_whole: bool) -> list[dict[str, Any]]:
    """A message of the stage with what cannot wait until MLflow answers: the time, the tree as it is, hashes of what was written."""
    now_ms = int(time.time() * 1000)
    if message["what"] == "open":
        kept, files = provenance_of(message.pop("inputs"), locks_are_whole)
        encoded = {place: base64.b64encode(content).decode() for place, content in files.items()}
        values = message.pop("values")
        opening = {**message, "at_ms": now_ms, "tags": {**message["tags"], **kept}, "had": cells.outs(message["name"])}
        return [opening, {"what": "params", "values": values}, {"what": "files", "contents": encoded}]
    if message["what"] == "register":
        return [{**message, "digest": provenance.hash_path(Path(message["path"]))}]
    if message["what"] == "end":
        return [{**message, "at_ms": now_ms, "outs": {path: provenance.hash_path(Path(path)) for path in message["outs"]}}]
    return [message]


def silent_end() -> dict[str, Any]:
    """The last word on a stage that said none."""
    return {"what": "end", "status": "FAILED", "reason": SILENT_END, "outs": {}, "at_ms": int(time.time() * 1000)}


def provenance_of(inputs: Sequence[str], locks_are_whole: bool) -> tuple[dict[str, str], dict[str, bytes]]:
    """Tags (with the hash of each input) and files that let the run be made again; see flows/provenance.py."""
    known = provenance.hashes_in_lock()
    tags = {f"{INPUT_TAG}{path}": known.get(path) or provenance.hash_path(Path(path)) for path in inputs}
    tags["device"] = provenance.device()
    if Path("requirements.lock").exists():
        tags["lock_sha256"] = hashlib.sha256(Path("requirements.lock").read_bytes()).hexdigest()
    if not (commit := provenance.git("rev-parse", "HEAD")):
        return tags, {}
    tags[COMMIT_TAG] = commit
    try:
        changes, results = provenance.changes(), provenance.results(locks_are_whole)
    except (provenance.TooLarge, OSError, subprocess.CalledProcessError) as error:
        return {**tags, "dirty": "true", NOT_KEPT_TAG: one_line(error)}, {}
    files = {provenance.RESULTS_FILE: gzip.compress(results, mtime=0)}
    return {**tags, "dirty": str(bool(changes)).lower()}, files | ({provenance.CHANGES_FILE: changes} if changes else {})
