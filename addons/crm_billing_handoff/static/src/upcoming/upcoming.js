import {Component, useState} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {useService} from "@web/core/utils/hooks";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

/** The next documents of an agreement, as the engine would make them; nothing is made. */
export class BillingUpcoming extends Component {
    static template = "crm_billing_handoff.Upcoming";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.state = useState({answer: null, count: 6, open: {}});
        useRecordObserver((record) => this.follow(record));
    }

    /** Look ahead anew whenever the record is read anew; not while somebody types. */
    async follow(record) {
        if (record.data && !record.dirty) {
            await this.load(record);
        }
    }

    async load(record) {
        this.state.answer = record.resId
            ? await this.orm.call("crm.billing.agreement", "get_upcoming_invoices", [
                  record.resId,
                  this.state.count,
              ])
            : null;
    }

    get documents() {
        return this.state.answer?.documents || [];
    }

    async showMore() {
        this.state.count += 12;
        await this.load(this.props.record);
    }

    toggle(index) {
        this.state.open[index] = !this.state.open[index];
    }
}

registry.category("view_widgets").add("billing_upcoming", {component: BillingUpcoming});
