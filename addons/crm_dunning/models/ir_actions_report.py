from odoo import api, models
from odoo.exceptions import UserError


class IrActionsReport(models.Model):
    """No letter is an empty sheet."""

    _inherit = "ir.actions.report"

    @api.model
    def _run_wkhtmltopdf(
        self,
        bodies,
        report_ref=False,
        header=None,
        footer=None,
        landscape=False,
        specific_paperformat_args=None,
        set_viewport_size=False,
    ):
        """Override of `base`, which takes some failures of the printer for warnings and
        goes on with an empty file.

        :raise UserError: the printer gave no letter
        """
        content = super()._run_wkhtmltopdf(
            bodies,
            report_ref=report_ref,
            header=header,
            footer=footer,
            landscape=landscape,
            specific_paperformat_args=specific_paperformat_args,
            set_viewport_size=set_viewport_size,
        )
        if content or not report_ref:
            return content
        if self._get_report(report_ref).model != "crm.dunning.notice":
            return content
        raise UserError(
            self.env._(
                "The letter could not be printed. Ask an administrator to look at the "
                "PDF printer (wkhtmltopdf) of this server."
            )
        )
