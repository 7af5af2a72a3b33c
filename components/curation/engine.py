"""The engine that runs the DataFrame code of ``frames.py``: a Spark Connect session.

Embedded by default: Sail, a server of Spark Connect without a JVM, on a free port of the loopback interface of this very process.
Any endpoint of Spark >= 4 takes its place by its address; it must reach the work folder and have this package, numba and pyarrow
where its Python workers run.
"""

import ctypes
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Sail takes its settings from variables of the process only; they are written here, never read. None of them changes a result.
_SETTINGS = {
    "RUST_LOG": "error",  # it logs to stderr; what goes wrong comes back as an exception
    "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",  # sorts and joins spill to disk beyond the pool
    "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": str(2**30),
    "SAIL_PARQUET__MAX_ROW_GROUP_SIZE": "4000",  # rows that a writer holds in memory; its default is a million
    "SAIL_PARQUET__DICTIONARY_ENABLED": "false",  # hashes hardly repeat; a search for near-duplicates took 5.6 s of CPU time, not 5.9
    "SAIL_EXECUTION__BATCH_SIZE": "1024",  # rows; with 8192, its default, 1 GB of text took 2.8 GB instead of 1.8
}
# Options of glibc's mallopt: bytes that are kept, that are asked for at once, that are mapped apart, in place of what flows/quiet.env
# asks for: a training step wants freed memory back in the next step; here it took 2.57 GB for 1 GB of text, not 1.46. With glibc's own
# 128 KiB a search for near-duplicates took 6.2 s, a third of its CPU time for pages given back and asked for again; with 4 MiB 4.9 s,
# in as much memory.
_MALLOC_OPTIONS = dict.fromkeys((-1, -2, -3), 2**22)
# As the traceback of a worker, which is all that comes back of it, ends.
_INPUT_ERROR = re.compile(rf"^{InputError.__module__}\.{InputError.__name__}: (.+)$", re.MULTILINE)


@contextmanager
def session(remote: str, workers: int) -> Iterator["SparkSession"]:
    """Yield a session at the endpoint ``remote`` (``sc://host:port``), or, where that is empty, of an embedded server with ``workers``
    threads. Both are ended with the block.

    Raises:
        InputError: no server of Spark Connect answers at ``remote``, or it went away during the block; or a worker raised it.
    """
    if remote:
        with _connected(remote) as spark:
            yield spark
        return
    server = _start_server(workers)
    try:
        _, port = server.listening_address
        with _connected(f"sc://127.0.0.1:{port}") as spark:
            yield spark
    finally:
        server.stop()


def _start_server(workers: int) -> Any:
    from pysail.spark import SparkConnectServer

    for name, value in {**_SETTINGS, "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(workers)}.items():
        os.putenv(name, value)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, size in _MALLOC_OPTIONS.items():
            mallopt(option, size)
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    return server


@contextmanager
def _connected(address: str) -> Iterator["SparkSession"]:
    with warnings.catch_warnings():
        # Only its conversions to pandas are meant; nothing here makes any.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        from pyspark.sql.connect.session import SparkSession
    # It logs nothing, unless another library's logging.config.dictConfig has switched all loggers on.
    logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL)
    from grpc import StatusCode
    from pyspark.errors import PySparkException
    from pyspark.errors.exceptions.connect import SparkConnectGrpcException

    mend = "start the server, mend the address, or leave it empty for the embedded engine"
    try:
        spark = SparkSession.builder.remote(address).create()
    except PySparkException as error:
        raise InputError(f"curation.spark_remote: {address!r} is not of the form sc://host:port ({_line(error)}); {mend}") from None
    spark.client.set_retry_policies([])  # by default a call to a server that is gone is repeated for ten minutes
    try:
        spark.version  # noqa: B018  # the first call to the server
        yield spark
    except SparkConnectGrpcException as error:
        if bad_input := _INPUT_ERROR.search(str(error)):
            raise InputError(bad_input[1]) from None
        if error.getGrpcStatusCode() != StatusCode.UNAVAILABLE:
            raise
        raise InputError(f"curation.spark_remote: no Spark Connect server answers at {address}; {mend}") from None
    finally:
        spark.stop()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
