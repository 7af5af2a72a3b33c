"""Both user interfaces, on loopback: ``python -m flows.ui``. Prints their addresses once they answer; Ctrl-C ends both."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from components.errors import InputError
from flows import database, quiet, servers, tracking
from flows.children import Children

LOG = Path(".prefect") / "ui.log"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 ended by Ctrl-C, 1 a server ended by itself, 2 a port is taken."""
    parser = argparse.ArgumentParser(prog="python -m flows.ui", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--mlflow-port", type=int, default=servers.MLFLOW_PORT, help="default: %(default)s")
    parser.add_argument("--prefect-port", type=int, default=servers.PREFECT_PORT, help="default: %(default)s")
    args = parser.parse_args(argv)
    quiet.set_variables()
    servers.use_own_prefect_home()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    children = Children()
    try:
        return _serve(children, servers.mlflow(args.mlflow_port), servers.prefect(args.prefect_port))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("ended", flush=True)
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave one of them behind
        children.stop()


def _serve(children: Children, *both: servers.Server) -> int:
    for server in both:
        if not servers.port_is_free(server.port):
            raise InputError(f"port {server.port} on {servers.HOST} is taken; end what listens there or give --{server.name}-port")
    LOG.parent.mkdir(exist_ok=True)
    print(f"starting; the servers' own lines are in {LOG}", flush=True)
    with LOG.open("w", encoding="utf-8") as log, ExitStack() as store:
        store.enter_context(database.store_lock(tracking.tracking_uri()))  # the server may be what creates the database
        running = [(server, children.start(server.command, Path.cwd(), server.variables, log)) for server in both]
        for server, child in running:
            if not servers.wait_until_healthy(server, child):
                return _ended(server)
            print(f"{server.title:<8} {server.url}{server.hint}", flush=True)
    print("Ctrl-C ends both", flush=True)
    while True:
        for server, child in running:
            if child.poll() is not None:
                return _ended(server)
        time.sleep(0.2)


def _ended(server: servers.Server) -> int:
    print(f"error: {server.title} ended or does not answer; {LOG} says why", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
