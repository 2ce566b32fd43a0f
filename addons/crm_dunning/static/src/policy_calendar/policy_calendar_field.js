import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

const ICONS = {
    mail: "fa-envelope-o",
    charge: "fa-credit-card",
    retry: "fa-repeat",
    activity: "fa-phone",
    hold: "fa-lock",
    letter: "fa-file-text-o",
    person: "fa-user",
};

/** What a policy would do to one invoice, day by day; it follows what is typed. */
export class DunningCalendarField extends Component {
    static template = "crm_dunning.CalendarField";
    static props = {...standardFieldProps};

    get plan() {
        return this.props.record.data[this.props.name] || {};
    }

    get tracks() {
        return this.plan.tracks || [];
    }

    icon(kind) {
        return ICONS[kind];
    }
}

registry.category("fields").add("dunning_calendar", {
    component: DunningCalendarField,
    supportedTypes: ["json"],
});
