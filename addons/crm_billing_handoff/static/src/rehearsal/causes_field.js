import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/** Why two rehearsals differ, one line a cause; a click shows what is behind it. */
export class BillingCausesField extends Component {
    static template = "crm_billing_handoff.CausesField";
    static props = {...standardFieldProps};

    setup() {
        this.action = useService("action");
    }

    get causes() {
        return this.props.record.data[this.props.name] || [];
    }

    open({cause, name}) {
        return this.action.doAction(
            "crm_billing_handoff.crm_billing_rehearsal_difference_action",
            {
                additionalContext: {search_default_group_cause: 0},
                props: {
                    domain: [
                        ["rehearsal_id", "=", this.props.record.resId],
                        ["cause", "=", cause],
                    ],
                    display: {displayName: name},
                },
            }
        );
    }
}

registry.category("fields").add("billing_causes", {
    component: BillingCausesField,
    supportedTypes: ["json"],
});
