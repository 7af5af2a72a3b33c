"""One recorder for all cells of a flow, so that a cell does not pay for the import of MLflow: 2 s of CPU each.

The flow holds a connection to it for as long as it lives; each stage has one of its own and says there what it would say to
a recorder of its own (flows/tracking.py). The process ends when the flow has ended, or was killed, and no stage is left.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from flows import quiet, recorder, tracking
from flows.children import Children, Stopped

START_SECONDS = 30.0  # python and this file: 0.3 s on a quiet machine
WAITING = 128  # connections


@contextlib.contextmanager
def shared(root: Path, children: Children, say: Callable[[str], None]) -> Iterator[Mapping[str, str]]:
    """Variables that let the stages that run meanwhile share a recorder; none where it does not start."""
    with tempfile.TemporaryDirectory(prefix="recorder-") as folder, socket.socket(socket.AF_UNIX) as connection:
        place = Path(folder) / "socket"  # not below root: such a path may have 107 characters at most

        def run() -> None:
            with contextlib.suppress(Stopped):
                children.run([sys.executable, "-m", "flows.recording", str(place)], root, {}, say)

        beside = threading.Thread(target=run)
        beside.start()
        yield {tracking.RECORDER_VARIABLE: str(place)} if _connected(connection, place) else {}
        connection.close()
        beside.join()


def _connected(connection: socket.socket, place: Path) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            connection.connect(str(place))
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def serve(place: Path) -> None:
    """Record what is said on each connection to the socket at ``place``, until the first one, the flow's, is closed."""
    stages: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(WAITING)
        flow, _ = listener.accept()

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                stages[:] = [stage for stage in stages if stage.is_alive()]
                stages.append(threading.Thread(target=_record, args=(connection,)))
                stages[-1].start()

        threading.Thread(target=accept, daemon=True).start()
        flow.recv(1)
        place.unlink(missing_ok=True)
        for stage in list(stages):
            stage.join()


def _record(connection: socket.socket) -> None:
    def lines() -> Iterator[str]:
        with connection.makefile(encoding="utf-8") as said, contextlib.suppress(OSError):  # of a stage that was killed
            yield from said

    with connection:
        try:
            recorder.record(lines(), connection.fileno(), locks_are_whole=True)
        except Exception as error:
            print(f"warning: not tracked from here on: {tracking.one_line(error)}", file=sys.stderr, flush=True)


def main() -> int:
    """Exit status 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # an interrupted stage still has something to say
    quiet.set_variables()
    recorder.set_limits()
    serve(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    os._exit(main())  # all is written, as in flows/recorder.py
