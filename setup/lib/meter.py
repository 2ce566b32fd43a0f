"""Count queries, CPU and seconds inside an Odoo process."""

import time


class Meter:
    """Count what happens inside the ``with`` block, its end of transaction included.

    :param commit: end with a commit, after which everything has to be read anew; else
        with all that comes before one
    """

    def __init__(self, env, commit=True):
        self._env, self._cr, self._commit = env, env.cr, commit

    def __enter__(self):
        self._queries, self._cpu = self._cr.sql_log_count, time.process_time()
        return self

    def __exit__(self, *exception):
        if self._commit:
            self._cr.commit()
        else:
            self._env.flush_all()
            self._cr.precommit.run()
        self.queries = self._cr.sql_log_count - self._queries
        self.cpu = (time.process_time() - self._cpu) * 1000  # milliseconds


def measure_least(env, read, rounds=3):
    """Return the seconds of the fastest of some rounds, each without a cache."""
    times = []
    for _round in range(rounds):
        env.invalidate_all()
        started = time.monotonic()
        read()
        times.append(time.monotonic() - started)
    return min(times)
