from odoo.fields import Command

from .agreement_common import AgreementCommon


class MilestoneCommon(AgreementCommon):
    """A contract of 80,000: 8,000 fixed, the rest 25, 45 and 30 percent."""

    PHASES = (
        ("Kick-off", "fixed", 8000.0),
        ("Design", "percent", 25.0),
        ("Build", "percent", 45.0),
        ("Handover", "percent", 30.0),
    )

    @classmethod
    def _create_contract(cls, total=80000.0, phases=None, line=None, **values):
        """Return a draft agreement with one line that is billed by milestones."""
        return cls.env["crm.billing.agreement"].create(
            {
                "partner_id": cls.account.id,
                "user_id": cls.seller.id,
                "start_date": "2027-01-01",
                "line_ids": [
                    Command.create(
                        {
                            "product_id": cls.product.id,
                            "name": "Migration project",
                            "billing_method": "milestone",
                            "price_unit": total,
                            "milestone_ids": [
                                Command.create(vals)
                                for vals in cls._prepare_phases(phases or cls.PHASES)
                            ],
                            **(line or {}),
                        }
                    )
                ],
                **values,
            }
        )

    @classmethod
    def _prepare_phases(cls, phases):
        return [
            {
                "name": name,
                "kind": kind,
                "fixed_amount" if kind == "fixed" else "weight": number,
                "sequence": place,
                "user_id": cls.responsible.id,
            }
            for place, (name, kind, number) in enumerate(phases)
        ]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.responsible = cls.env["res.users"].create(
            {
                "name": "Engineer",
                "login": "billing_engineer",
                "group_ids": [Command.set(cls.env.ref("base.group_user").ids)],
            }
        )

    def _start(self, *args, **values):
        agreement = self._create_contract(*args, **values)
        agreement.with_user(self.clerk).action_start()
        return agreement

    def _post(self, moves):
        moves.billing_review_note = "as agreed"
        moves.with_user(self.clerk).action_billing_review()
        moves.action_post()
        return moves
