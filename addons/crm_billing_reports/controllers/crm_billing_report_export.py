import json

from odoo.exceptions import UserError
from odoo.http import Controller, content_disposition, request, route

from ..models.crm_billing_report_export import ExportOptions


class CrmBillingReportExportController(Controller):
    @route(
        "/billing/report/<string:model>/export",
        type="http",
        auth="user",
        methods=["POST"],
    )
    def export(self, model, data, **_token):
        """Send a report as a file.

        :param data: JSON of `ExportOptions`, and the ``context`` of the report
        :return: the file, streamed
        :raise UserError: what is asked for makes no report
        """
        options, context = self._read_options(data)
        export = request.env["crm.billing.report.export"].with_context(**context)
        name, content_type, chunks = export._export(model, options)
        headers = [
            ("Content-Type", content_type),
            ("Content-Disposition", content_disposition(name)),
        ]
        return request.make_response(chunks, headers)

    def _read_options(self, data):
        try:
            values = json.loads(data)
            context = dict(values.pop("context", {}))
            for name in ("groupby", "columns"):
                values[name] = tuple(values.get(name) or ())
            return ExportOptions(**values), context
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(
                request.env._("The request says no report options: %s", error)
            ) from error
