"""A user at a running Odoo, over the same door that the web client uses."""

import http.cookiejar
import json
import urllib.request


class Refused(Exception):
    """What a user reads in a dialog instead of an answer."""


class Session:
    """A user who is logged in at a server: ``session(model, method, *args, **kw)``."""

    def __init__(self, running, login):
        """:param running: has ``url`` and ``database``; the password is the login"""
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        self._url = running.url
        self._post(
            "/web/session/authenticate",
            {"db": running.database, "login": login, "password": login},
        )

    def __call__(self, model, method, *args, **kwargs):
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self._post(f"/web/dataset/call_kw/{model}/{method}", params)

    def _post(self, path, params):
        request = urllib.request.Request(
            self._url + path,
            json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode(),
            {"Content-Type": "application/json"},
        )
        with self._browser.open(request, timeout=60) as answer:
            content = json.load(answer)
        if error := content.get("error"):
            raise Refused(error["data"].get("message"), error["data"].get("debug"))
        return content.get("result")
