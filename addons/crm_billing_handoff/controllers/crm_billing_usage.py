from odoo import SUPERUSER_ID, http
from odoo.http import request

LARGEST_BODY = 10 * 1024 * 1024  # bytes
SIGNATURE = "X-Billing-Signature"


class BillingUsageController(http.Controller):
    @http.route(
        "/billing/usage/<string:key>",
        type="http",
        auth="public",
        methods=["POST"],
        csrf=False,
        save_session=False,
        max_content_length=LARGEST_BODY,
    )
    def record_usage(self, key, **_kwargs):
        """Take usage events of a system that signs them; answers in JSON.

        200 with an answer for each event, 400 for what is no list of events, 401
        without a good signature, 413 above 10 MB. Sending again is always safe.
        """
        body = request.httprequest.get_data()
        if len(body) > LARGEST_BODY:
            return self._answer(413, {"error": "Send at most 10 MB at a time."})
        endpoints = request.env["crm.billing.usage.endpoint"].with_user(SUPERUSER_ID)
        header = request.httprequest.headers.get(SIGNATURE, "")
        return self._answer(*endpoints._receive(key, body, header))

    def _answer(self, status, content):
        return request.make_json_response(content, status=status)
