import { _t } from "@web/core/l10n/translation";
import { Dropdown } from "@web/core/dropdown/dropdown";
import { DropdownItem } from "@web/core/dropdown/dropdown_item";
import { DateTimeInput } from "@web/core/datetime/datetime_input";
import { deserializeDate, formatDate, serializeDate } from "@web/core/l10n/dates";
import { KeepLast } from "@web/core/utils/concurrency";
import { useService } from "@web/core/utils/hooks";
import { formatInteger, formatMonetary } from "@web/views/fields/formatters";

import { Component, onWillStart, onWillUpdateProps, useState } from "@odoo/owl";

import { downloadReport, getFiltersInWords } from "./report_download";

/**
 * Says above a report what it is made for, and whether it ties to the ledger.
 *
 * It loads beside the report, which never waits for it.
 */
export class ReportBanner extends Component {
    static template = "crm_billing_reports.ReportBanner";
    static components = { DateTimeInput, Dropdown, DropdownItem };
    static props = {
        resModel: String,
        domain: Array,
        context: Object,
        getLayout: Function,
    };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.keepLast = new KeepLast();
        this.state = useState({ facts: null, failed: false });
        onWillStart(() => {
            this.load(this.props);
        });
        onWillUpdateProps((nextProps) => {
            if (this.getQuestion(nextProps) !== this.question) {
                this.load(nextProps);
            }
        });
    }

    // --- What the report is made for ---

    getQuestion({ resModel, domain, context }) {
        return JSON.stringify([resModel, domain, context]);
    }

    /** Ask for the facts; a search that cannot be answered shows its error in the view. */
    async load(props) {
        this.question = this.getQuestion(props);
        this.state.failed = false;
        const call = this.orm.silent
            .call(props.resModel, "get_report_facts", [props.domain], {
                context: props.context,
            })
            .catch(() => null);
        const facts = await this.keepLast.add(call);
        this.state.failed = !facts;
        this.state.facts = facts || this.state.facts;
    }

    get dates() {
        return this.state.facts?.dates;
    }

    toDate(day) {
        return day ? deserializeDate(day) : false;
    }

    onDayChanged(day) {
        this.setDates(day, day);
    }

    onFirstChanged(first) {
        this.setDates(first, this.toDate(this.dates.date_to));
    }

    onLastChanged(last) {
        this.setDates(this.toDate(this.dates.date_from), last);
    }

    /** Make the report for other days; both empty makes it as of today again. */
    setDates(first, last) {
        const { searchModel } = this.env;
        const { names, kind } = this.dates;
        const [name] = names;
        const [from, to] = [first && serializeDate(first), last && serializeDate(last)];
        if (!from && !to) {
            return searchModel.setReportDates(names);
        }
        const domain =
            kind === "day"
                ? [[name, "=", to]]
                : [from && [name, ">=", from], to && [name, "<=", to]].filter(Boolean);
        return searchModel.setReportDates(names, {
            description: this.describe(kind, first, last),
            domain: JSON.stringify(domain),
            context: { billing_as_of: to, billing_date_from: from, billing_date_to: to },
        });
    }

    describe(kind, first, last) {
        const [from, to] = [first && formatDate(first), last && formatDate(last)];
        if (kind === "day") {
            return _t("As of %s", to);
        }
        if (!from || !to) {
            return from ? _t("Since %s", from) : _t("Until %s", to);
        }
        return _t("%(from)s to %(to)s", { from, to });
    }

    // --- Whether it ties ---

    get tieOuts() {
        return this.state.facts?.tie_outs || [];
    }

    format(amount, tieOut) {
        return tieOut.currency_id
            ? formatMonetary(amount, { currencyId: tieOut.currency_id })
            : formatInteger(amount); // what is counted has no currency
    }

    onShowDocuments({ documents, ledger_label }) {
        const [resModel, ids] = documents;
        this.action.doAction({
            type: "ir.actions.act_window",
            name: _t("Causes of the difference: %s", ledger_label),
            res_model: resModel,
            domain: [["id", "in", ids]],
            views: [
                [false, "list"],
                [false, "form"],
            ],
        });
    }

    // --- Taking it along ---

    onExport(format, detail) {
        return this.download(format, detail);
    }

    onPrint() {
        const { groupby } = this.props.getLayout();
        return this.download("pdf", groupby.length ? "groups" : "rows");
    }

    download(format, detail) {
        const filters = getFiltersInWords(this.env.searchModel);
        const search = { ...this.props, filters };
        return downloadReport(search, this.props.getLayout(), format, detail);
    }
}
