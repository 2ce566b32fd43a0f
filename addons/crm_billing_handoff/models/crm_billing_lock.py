from odoo import models
from odoo.tools import SQL


class CrmBillingLock(models.AbstractModel):
    """Mixin: rows that jobs claim without waiting, and that people wait for."""

    _name = "crm.billing.lock"
    _description = "Rows Shared by Jobs and People"

    def _lock_and_wait(self):
        """Lock the rows for a person, who waits for the job or another person.

        What has changed meanwhile cannot be locked: Odoo then repeats the whole call,
        which finds the work done.
        """
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM %s WHERE id IN %s ORDER BY id FOR NO KEY UPDATE",
                SQL.identifier(self._table),
                tuple(self.ids) or (0,),
            )
        )
