import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";
import {useService} from "@web/core/utils/hooks";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

const ICONS = {
    block: "fa-times-circle text-danger",
    warn: "fa-exclamation-triangle text-warning",
    info: "fa-arrow-right text-info",
    ok: "fa-check-circle text-success",
};

/**
 * A list of gaps: what is missing, why it matters, who can fix it, and a link to
 * the record where it is fixed. The value is made by the server and never edited.
 */
export class BillingReadinessField extends Component {
    static template = "crm_billing_handoff.ReadinessField";
    static props = {...standardFieldProps, emptyText: {type: String, optional: true}};

    setup() {
        this.action = useService("action");
    }

    get items() {
        return this.props.record.data[this.props.name] || [];
    }

    get emptyText() {
        return this.props.emptyText || _t("Everything is there.");
    }

    icon(item) {
        return ICONS[item.level] || ICONS.info;
    }

    level(item) {
        return {block: _t("Blocks"), warn: _t("Warns"), ok: _t("Ready")}[item.level] || "";
    }

    who(item) {
        const names = {
            sales: _t("Sales"),
            billing: _t("Billing"),
            admin: _t("Administrator"),
        };
        return names[item.who] || "";
    }

    hasLink(item) {
        const {resModel, resId} = this.props.record;
        const isHere = item.model === resModel && item.res_id === resId;
        return Boolean(item.action || (item.model && item.res_id && !isHere));
    }

    async open(item) {
        // What is typed on the form must not be lost by following the link.
        if (!(await this.props.record.save())) {
            return;
        }
        if (item.action) {
            return this.action.doAction(item.action);
        }
        const isPartner = item.model === "res.partner";
        await this.action.doAction({
            type: "ir.actions.act_window",
            res_model: item.model,
            res_id: item.res_id,
            views: [[false, "form"]],
            context: isPartner ? {form_view_ref: "base.view_partner_form"} : {},
        });
        if (isPartner) {
            document.querySelector(".o_form_view .o_notebook [name=billing].nav-link")?.click();
        }
    }
}

/**
 * The gaps that block, in one line above the form: seen without opening a tab.
 */
export class BillingReadinessBanner extends BillingReadinessField {
    static template = "crm_billing_handoff.ReadinessBanner";

    get items() {
        return super.items.filter((item) => item.level === "block");
    }

    get isWon() {
        return this.props.record.data.won_status === "won";
    }
}

/** The names of what blocks, or what went wrong, for a list or a card. */
export class BillingReadinessNames extends BillingReadinessField {
    static template = "crm_billing_handoff.ReadinessNames";

    get names() {
        const names = this.items
            .filter((item) => item.level === "block")
            .map((item) => item.name);
        const once = [...new Set(names)].join(", ");
        return once || this.props.record.data.billing_error || "";
    }
}

export const billingReadinessField = {
    component: BillingReadinessField,
    supportedTypes: ["json"],
    extractProps: ({options}) => ({emptyText: options.empty_text}),
};
export const billingReadinessBanner = {
    component: BillingReadinessBanner,
    supportedTypes: ["json"],
};
export const billingReadinessNames = {
    component: BillingReadinessNames,
    supportedTypes: ["json"],
};

registry.category("fields").add("billing_readiness", billingReadinessField);
registry.category("fields").add("billing_readiness_banner", billingReadinessBanner);
registry.category("fields").add("billing_readiness_names", billingReadinessNames);
