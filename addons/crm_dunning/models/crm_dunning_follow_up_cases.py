"""Cases of a wave, opened in bulk: one an invoice that reached an overdue step."""

from odoo import api, models

from .bulk_insert import insert_rows


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - OPEN IN BULK === #

    @api.model
    def _open_for_follow_up(self, now, conversations, plans):
        """Return ``{move id: case}``: overdue steps open one, earlier ones do not.

        As :meth:`_open_for` one by one; another lane or a charge that opens the same
        case at this moment makes the whole chunk a lost race.

        :param now: instant, naive UTC
        """
        wanted = {}
        for one in conversations:
            keys = [one_.key for one_ in one.decision.listed if one_.is_overdue]
            keys += [key for _step, key in one.decision.also]
            wanted.update({one.rows[key].move_id: one for key in keys})
        known = self.search(
            [("move_id", "in", list(wanted)), ("state", "!=", "closed")]
        )
        cases = {case.move_id.id: case for case in known}
        steps = self._get_last_steps(plans)
        self._note_steps(known, steps)
        rows = [
            self._prepare_row(now, move_id, one, steps.get(move_id, (0, False)))
            for move_id, one in wanted.items()
            if move_id not in cases
        ]
        made = insert_rows(self, rows)
        self.env["crm.billing.event"]._log_opened(made, wanted)
        return cases | {
            row["move_id"]: case for row, case in zip(rows, made, strict=True)
        }

    @api.model
    def _get_last_steps(self, plans):
        """Return ``{move id: (days, step id)}`` of the last step that is recorded."""
        steps = {}
        for plan in plans:
            for line in plan.lines:
                if line["kind"] in ("listed", "done"):
                    step = (line["days"], line["step_id"] or 0)
                    steps[line["move_id"]] = max(steps.get(line["move_id"], step), step)
        return steps

    @api.model
    def _note_steps(self, cases, steps):
        """Keep on each case its last step, one write a step."""
        groups = cases.filtered(lambda case: case.move_id.id in steps).grouped(
            lambda case: steps[case.move_id.id]
        )
        for (days, step_id), group in groups.items():
            group.with_context(tracking_disable=True).write(
                {"stage": days, "step_id": step_id or False}
            )

    @api.model
    def _prepare_row(self, now, move_id, one, step):
        """Return the columns of a new case, what it takes from the invoice included."""
        rows = [row for row in one.rows.values() if row.move_id == move_id]
        due = [row.due for row in rows if not row.is_retention]
        days, step_id = step
        return {
            "move_id": move_id,
            "company_id": one.company.id,
            "currency_id": one.currency.id,
            "partner_id": one.payer.id,
            "seller_id": rows[0].seller_id,
            "policy_id": one.policy.id,
            "state": "automatic",
            "opened_at": now,
            "amount_residual": float(sum(row.residual for row in rows)),
            "date_due": min(due),
            "stage": days,
            "step_id": step_id or False,
        }


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    @api.model
    def _log_opened(self, cases, conversations):
        """Log in one statement that these cases were opened, as :meth:`_log` does.

        :param conversations: ``{move id: conversation}``
        """
        actor = self._prepare_actor()
        insert_rows(
            self,
            [
                {
                    **actor,
                    "action": "case_opened",
                    "dunning_case_id": case.id,
                    "move_id": case.move_id.id,
                    "partner_id": one.payer.id,
                    "account_name": one.payer.name,
                    "company_id": one.company.id,
                }
                for case in cases
                for one in [conversations[case.move_id.id]]
            ],
        )
