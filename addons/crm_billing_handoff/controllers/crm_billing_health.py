from odoo import SUPERUSER_ID, fields, http
from odoo.http import request


class CrmBillingHealthController(http.Controller):
    @http.route(
        "/billing/health",
        type="http",
        auth="public",
        methods=["GET"],
        csrf=False,
        save_session=False,
        readonly=True,
        sitemap=False,
    )
    def show_health(self, token="", **_kwargs):
        """Tell a monitor how billing is: 200 fine, 503 not, 404 without the token.

        The token comes as ``?token=…`` or in the header ``Authorization: Bearer …``,
        which keeps it out of the logs of servers between. No job is needed: the checks
        run now, and write nothing.
        """
        header = request.httprequest.headers.get("Authorization", "")
        token = token or header.removeprefix("Bearer ").strip()
        env = request.env(user=SUPERUSER_ID)
        company = env["res.company"]._find_by_health_token(token)
        if not company:
            return request.make_json_response({"status": "unknown"}, status=404)
        watches = env["crm.billing.watch"].with_company(company)
        good, health = watches._get_health(company, fields.Datetime.now())
        response = request.make_json_response(health, status=200 if good else 503)
        response.headers["Cache-Control"] = "no-store"
        return response
