import {Component, useEffect, useRef, useState} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {_t} from "@web/core/l10n/translation";
import {usePopover} from "@web/core/popover/popover_hook";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {useService} from "@web/core/utils/hooks";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

// The order of the legend; each status has a colour and a sign, for those who see none.
const SIGNS = {
    billed: "fa-check",
    draft: "fa-pencil",
    pending: "fa-hourglass-half",
    part_credited: "fa-adjust",
    credited: "fa-undo",
    missing: "fa-exclamation",
    due: "fa-clock-o",
    upcoming: "fa-ellipsis-h",
    covered: "fa-gift",
    paused: "fa-pause",
    trial: "fa-flask",
};

/** What is behind one cell: its rows and documents, and what to do about a gap. */
export class BillingCoverageDetails extends Component {
    static template = "crm_billing_handoff.CoverageDetails";
    static props = {
        cell: Object,
        rights: Object,
        statusName: Function,
        openMove: Function,
        explain: Function,
        billNow: Function,
        waive: Function,
        close: {type: Function, optional: true},
    };

    setup() {
        this.state = useState({waiving: null, reason: ""});
    }

    get isReasoned() {
        return Boolean(this.state.reason.trim());
    }

    async run(method, ...args) {
        this.props.close?.();
        await this.props[method](...args);
    }
}

/**
 * One strip of periods per line of an agreement: billed, draft, credited, missing,
 * to come. What each cell is, is judged by the server from the ledger.
 */
export class BillingCoverageMap extends Component {
    static template = "crm_billing_handoff.CoverageMap";
    static props = {...standardWidgetProps};

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.popover = usePopover(BillingCoverageDetails, {
            position: "bottom",
            popoverClass: "o_billing_coverage_popover",
        });
        this.state = useState({map: null, past: 24});
        this.signs = SIGNS;
        this.root = useRef("root");
        useEffect(
            () => this.showToday(),
            () => [this.state.map]
        );
        useRecordObserver((record) => this.follow(record));
    }

    /** Read anew whenever the record is, after a button or a save; not while typing. */
    async follow(record) {
        if (record.data && !record.dirty) {
            await this.load(record);
        }
    }

    async load(record) {
        this.state.map = record.resId
            ? await this.orm.call("crm.billing.agreement", "get_coverage_map", [
                  record.resId,
                  this.state.past,
              ])
            : null;
    }

    /** Long strips start where today is, not a year ago. */
    showToday() {
        for (const cell of this.root.el.querySelectorAll(".o_billing_cell_today")) {
            const strip = cell.parentElement;
            strip.scrollLeft = cell.offsetLeft - strip.offsetLeft - strip.offsetWidth * 0.7;
        }
    }

    get strips() {
        return this.state.map?.strips || [];
    }

    /** The statuses that occur, in the order of the legend. */
    get legend() {
        const found = new Set(
            this.strips.flatMap(({cells}) =>
                cells.flatMap(({segments}) => segments.map(({status}) => status))
            )
        );
        return Object.keys(SIGNS).filter((status) => found.has(status));
    }

    statusName(status) {
        return {
            billed: _t("Billed"),
            draft: _t("Draft"),
            pending: _t("On the next invoice"),
            part_credited: _t("Partly credited"),
            credited: _t("Credited"),
            missing: _t("Missing"),
            due: _t("Due today"),
            upcoming: _t("To come"),
            covered: _t("Waived or covered"),
            paused: _t("Paused"),
            trial: _t("Trial"),
        }[status];
    }

    tooltip(cell) {
        return JSON.stringify({
            dates: cell.dates,
            segments: cell.segments.map((segment) => ({
                ...segment,
                name: this.statusName(segment.status),
            })),
        });
    }

    async showEarlier() {
        this.state.past *= 4;
        await this.load(this.props.record);
    }

    async onClick(event, cell) {
        const target = event.currentTarget;
        const moves = new Map(
            cell.segments
                .flatMap(({rows}) => rows)
                .filter((row) => row.move_id)
                .map((row) => [row.move_id, row])
        );
        const isGap = cell.segments.some(({can_bill}) => can_bill);
        if (moves.size === 1 && !isGap) {
            return this.openMove([...moves.keys()][0]);
        }
        this.popover.open(target, {
            cell,
            rights: this.state.map.rights,
            statusName: this.statusName.bind(this),
            openMove: this.openMove.bind(this),
            explain: this.explain.bind(this),
            billNow: this.billNow.bind(this),
            waive: this.waive.bind(this),
        });
    }

    openMove(moveId) {
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "account.move",
            res_id: moveId,
            views: [[false, "form"]],
        });
    }

    async explain(periodId) {
        await this.action.doAction(
            await this.orm.call("crm.billing.period", "action_explain", [periodId])
        );
    }

    async billNow(segment) {
        await this.change("bill_missing", [segment.billing_date]);
    }

    async waive(segment, reason) {
        const {line_id, date_from, date_to} = segment;
        await this.change("waive_period", [line_id, date_from, date_to, reason]);
    }

    /** What is typed on the form is kept; then everything on it is read anew. */
    async change(method, args) {
        const {record} = this.props;
        if (!(await record.save())) {
            return;
        }
        await this.orm.call("crm.billing.agreement", method, [record.resId, ...args]);
        await record.load();
    }
}

export const billingCoverageMap = {component: BillingCoverageMap};

registry.category("view_widgets").add("billing_coverage_map", billingCoverageMap);
