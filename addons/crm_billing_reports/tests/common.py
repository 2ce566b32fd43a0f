from datetime import date

from odoo.fields import Command

from odoo.addons.crm_dunning.tests.common import DunningCommon


class ReportsCommon(DunningCommon):
    """Documents dated as told: invoices, credit notes and payments on given days."""

    @classmethod
    def _create_dated(cls, day, amount, due=None, account=None, **values):
        """Return a posted invoice (credit note if negative) of accounting date ``day``.

        :param amount: tax-free, in the document currency
        :param due: date; default ``day``
        """
        day = date.fromisoformat(day) if isinstance(day, str) else day
        move = cls.env["account.move"].create(
            {
                "move_type": "out_invoice" if amount >= 0 else "out_refund",
                "partner_id": (account or cls.account).id,
                "invoice_date": day,
                "date": day,
                "invoice_user_id": cls.seller.id,
                "invoice_payment_term_id": False,
                "invoice_date_due": due or day,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": cls.product.id,
                            "price_unit": abs(amount),
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
                **values,
            }
        )
        move.action_post()
        return move

    @classmethod
    def _pay_on(cls, moves, day, amount=None):
        """Register a payment dated ``day``; return the payments."""
        wizard = (
            cls.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=moves.ids)
            .create({"payment_date": day, **({"amount": amount} if amount else {})})
        )
        return wizard._create_payments()
