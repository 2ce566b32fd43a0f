"""Count queries and CPU inside an Odoo process."""

import time


class Meter:
    """Count what happens inside the ``with`` block, up to and with the commit."""

    def __init__(self, env):
        self._cr = env.cr

    def __enter__(self):
        self._queries, self._cpu = self._cr.sql_log_count, time.process_time()
        return self

    def __exit__(self, *exception):
        self._cr.commit()
        self.queries = self._cr.sql_log_count - self._queries
        self.cpu = (time.process_time() - self._cpu) * 1000  # milliseconds
