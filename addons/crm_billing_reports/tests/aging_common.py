from datetime import date

from odoo.fields import Command

from .common import ReportsCommon


class AgingCommon(ReportsCommon):
    """Short words for what stands in the aging of the account."""

    def _report(self, as_of, user=None, name="aging"):
        report = self.env[f"crm.billing.{name}.report"].with_context(
            billing_as_of=as_of
        )
        return report.with_user(user) if user else report

    def _read(self, as_of, account=None):
        """Return the rows of the account."""
        report = self._report(as_of)
        # Another transaction would not remember what it read before.
        report.invalidate_model()
        return report.search([("partner_id", "=", (account or self.account).id)])

    def _columns(self, as_of, account=None):
        """Return ``{bucket: amount}`` of the account, in company currency."""
        groups = self._report(as_of)._read_group(
            [("partner_id", "=", (account or self.account).id)],
            ["bucket"],
            ["total:sum"],
        )
        return dict(groups)

    def _assert_ties(self, as_of, company=None):
        company = company or self.company
        for proof in self._report(as_of).with_company(company).get_tie_outs([]):
            self.assertEqual(proof["difference"], 0, proof)

    def _create_in(self, instalments, day, **values):
        """Return an invoice with ``[(due date, amount)]``."""
        lines = [
            Command.create(
                {
                    "value": "fixed",
                    "value_amount": amount,
                    "nb_days": self._days(day, due),
                }
            )
            for due, amount in instalments[:-1]
        ]
        last = self._days(day, instalments[-1][0])
        lines.append(
            Command.create({"value": "percent", "value_amount": 100, "nb_days": last})
        )
        terms = self.env["account.payment.term"].create(
            {"name": "Instalments", "line_ids": lines}
        )
        total = sum(amount for _due, amount in instalments)
        return self._create_dated(
            day, total, due=False, invoice_payment_term_id=terms.id, **values
        )

    def _create_retaining(self, day, amount, percent=10, account=None, **values):
        """Return a posted invoice of a milestone; the account retains a part of it."""
        phase = {"name": "Phase", "kind": "share", "weight": 1.0}
        agreement = self.env["crm.billing.agreement"].create(
            {
                "partner_id": (account or self.account).id,
                "user_id": self.seller.id,
                "start_date": "2027-01-01",
                "retention_percent": percent,
                "line_ids": [
                    Command.create(
                        {
                            "product_id": self._create_product(taxes_id=False).id,
                            "name": "Project",
                            "billing_method": "milestone",
                            "price_unit": amount,
                            "milestone_ids": [Command.create(phase)],
                        }
                    )
                ],
            }
        )
        agreement.with_user(self.clerk).action_start()
        agreement.milestone_ids.action_mark_done()
        move = agreement.move_ids
        move.invoice_line_ids.tax_ids = False
        move.write({"invoice_payment_term_id": False, "invoice_date": day, **values})
        move.date = day
        move.billing_review_note = "as agreed"
        move.with_user(self.clerk).action_billing_review()
        move.action_post()
        return move

    @staticmethod
    def _days(day, due):
        return (date.fromisoformat(due) - date.fromisoformat(day)).days

    def _receivable(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).sorted(lambda line: (line.date_maturity, line.id))

    def _create_payment(self, day, amount, account=None, **values):
        """Return a posted payment that is matched with nothing."""
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": (account or self.account).id,
                "date": day,
                "amount": amount,
                **values,
            }
        )
        payment.action_post()
        return payment

    def _match(self, *moves):
        lines = self.env["account.move.line"].concat(
            *(self._receivable(move) for move in moves)
        )
        lines.filtered(lambda line: not line.reconciled).reconcile()
