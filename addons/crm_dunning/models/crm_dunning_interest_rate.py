from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date


class CrmDunningInterestRate(models.Model):
    """The statutory late interest of some countries for a stretch of time.

    The table is kept by a billing manager: laws and central banks change, and nobody
    guesses. A day without a row is an error that says so (billing rules, section 11).
    """

    _name = "crm.dunning.interest.rate"
    _description = "Statutory Late Interest"
    _order = "date_from desc, b2b desc, id"
    _rec_name = "reference"

    active = fields.Boolean(default=True)
    country_ids = fields.Many2many(
        "res.country",
        string="Countries",
        required=True,
        help="Countries of the customer in which this rate is the law.",
    )
    b2b = fields.Boolean(
        string="Businesses",
        default=True,
        help="For debts of businesses; else for those of consumers.",
    )
    date_from = fields.Date(string="First Day", required=True)
    date_to = fields.Date(string="Last Day", required=True)
    percent = fields.Float(
        digits=(6, 4), required=True, aggregator=None, help="Percent a year."
    )
    fixing = fields.Selection(
        [
            ("follows", "Changes with the table"),
            ("start", "Stays as on the first day late"),
        ],
        required=True,
        default="follows",
        string="While Late",
        help="Whether a debt that is late over several periods bears the rate of each, "
        "or for all its time the rate of the day on which interest began.",
    )
    reference = fields.Char(
        required=True, help="What the rate consists of: reference rate and surcharge."
    )
    source = fields.Char(required=True, help="The law, and who publishes the rate.")

    _dates_ordered = models.Constraint(
        "CHECK(date_from <= date_to)", "The last day comes after the first one."
    )
    _percent_sane = models.Constraint(
        "CHECK(percent > 0 AND percent <= 100)",
        "Give the rate in percent a year, above 0 and at most 100.",
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("active", "country_ids", "b2b", "date_from", "date_to")
    def _check_overlap(self):
        for rate in self.filtered("active"):
            if not rate.country_ids:
                raise ValidationError(
                    self.env._("Name the countries in which the rate is the law.")
                )
            twin = self.search(
                Domain("id", "!=", rate.id)
                & Domain("b2b", "=", rate.b2b)
                & Domain("country_ids", "in", rate.country_ids.ids)
                & Domain("date_from", "<=", rate.date_to)
                & Domain("date_to", ">=", rate.date_from),
                limit=1,
            )
            if twin:
                shared = twin.country_ids & rate.country_ids
                raise ValidationError(
                    self.env._(
                        "%(country)s has two rates from %(day)s on: “%(one)s” and "
                        "“%(other)s”. End the older one the day before.",
                        country=shared[:1].name,
                        day=format_date(self.env, max(rate.date_from, twin.date_from)),
                        one=rate.reference,
                        other=twin.reference,
                    )
                )

    # === BUSINESS METHODS === #

    @api.model
    def _get_rates(self, country, day_from, day_to, b2b=True):
        """Return the statutory rates of ``country`` for a debt that is late.

        :param day_from: first day that bears interest, the day after the due date
        :param day_to: last day, included
        :param b2b: whether the customer is a business
        :return: list of ``(first day, last day, Decimal percent a year)`` without a gap
        :raise UserError: the table does not cover a day; nothing is guessed
        """
        # The law is the same for whoever asks.
        rates = self.sudo().search(
            Domain("country_ids", "in", country.ids)
            & Domain("b2b", "=", b2b)
            & Domain("date_from", "<=", day_to)
            & Domain("date_to", ">=", day_from),
            order="date_from",
        )
        found, day = [], day_from
        for rate in rates:
            if rate.date_from > day:
                break
            last = day_to if rate._is_kept(day_from) else min(rate.date_to, day_to)
            found.append((day, last, Decimal(str(rate.percent))))
            day = last + timedelta(days=1)
            if day > day_to:
                return found
        raise self._get_gap_error(country, day, b2b)

    def _is_kept(self, day):
        """Return whether a debt that is late since ``day`` keeps this rate."""
        return self.fixing == "start" and self.date_from <= day <= self.date_to

    def _get_gap_error(self, country, day, b2b):
        return UserError(
            self.env._(
                "There is no statutory interest for %(who)s in %(country)s on %(day)s. "
                "A billing manager adds it under Configuration, Statutory Interest; "
                "until then choose an own rate in the policy, or none.",
                who=self.env._("businesses") if b2b else self.env._("consumers"),
                country=country.name or self.env._("a customer without country"),
                day=format_date(self.env, day),
            )
        )
