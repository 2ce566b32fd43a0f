"""``python -m stripe_double --port 12111``: serve until the process is ended."""

import argparse
import signal
import threading

from .server import Server


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="stripe_double", description=__doc__)
    parser.add_argument("--port", type=int, default=12111, help="0 for any free one")
    parser.add_argument("--state", help="file that keeps everything over a restart")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: ended.set())
    server = Server(options.port, options.state).start()
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
