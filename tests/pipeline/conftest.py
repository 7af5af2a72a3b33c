"""One Prefect server for all tests that need any: it takes longer to start than they take."""

from collections.abc import Iterator

import pytest

from flows import servers
from tests.pipeline.launches import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("prefect")
    described = servers.prefect(servers.free_port())
    with running(described, home):
        yield Server(described.url, home)
