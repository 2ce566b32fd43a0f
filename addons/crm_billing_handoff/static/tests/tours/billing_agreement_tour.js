import {inputFiles} from "@web/../tests/utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const noModal = "body:not(:has(.modal))";

/** Win a quotation with a monthly, a metered and a milestone line. */
tours.add("billing_salesperson_wins_an_agreement", {
    steps: () => [
        {
            content: "the quotation says how each line is billed",
            trigger: ".o_form_view .oe_stat_button[name=action_view_sale_quotation]",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=order_line] .o_data_row:contains('Workplace')",
        },
        {
            trigger: ".o_data_row:contains('Gateway')",
        },
        {
            trigger: ".o_data_row:contains('Relocation')",
        },
        {
            trigger: ".o_breadcrumb a:contains('Deal with Fabrikam'), .o_back_button",
            run: "click",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_set_won_rainbowman]",
            run: "click",
        },
        {
            content: "do not wait for the job",
            trigger: ".o_statusbar_buttons button[name=action_hand_off]",
            run: "click",
        },
        {
            content: "the deal is billed now",
            trigger: "button[name=action_view_billing_handoff]:contains('Draft')",
        },
        {
            trigger: ".o_button_more",
            run: "click",
        },
        {
            content: "by an agreement",
            trigger: "button[name=action_view_billing_agreements]",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_arrow_button_current:contains('Running')",
        },
        {
            content: "the month is a draft already",
            trigger: ".o_billing_strip[data-line='Workplace'] .o_billing_cell[data-status=draft]",
        },
        {
            content: "usage comes when the period is over",
            trigger: ".o_billing_strip[data-line='Gateway'] .o_billing_cell[data-status=upcoming]",
        },
        {
            content: "both milestones wait",
            trigger:
                ".o_billing_strip[data-line='Relocation']:has(.o_billing_cell[data-status=upcoming]:contains('Plans')):has(.o_billing_cell[data-status=upcoming]:contains('Handover'))",
        },
        {
            content: "a salesperson changes nothing here",
            trigger: ".o_form_view .o_form_statusbar:not(:has(button:contains('Change plan')))",
        },
    ],
});

/** The first draft of the agreement, seen by the clerk, with the why of its amount. */
tours.add("billing_clerk_sees_the_first_draft", {
    url: "/odoo/billing-review",
    steps: () => [
        {
            trigger: ".o_data_row:contains('Fabrikam') [name=billing_deal_names]",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_data_row:contains('Workplace') td[name=billing_last_day]",
        },
        {
            trigger: ".o_data_row:contains('Workplace') button[name=action_explain_billing]",
            run: "click",
        },
        {
            trigger: ".modal .o_billing_explanation[data-verdict=equal]:contains('Recomputed')",
        },
        {
            trigger: ".modal .modal-footer .btn-primary:contains('Close'), .modal .btn-close",
            run: "click",
        },
        {
            trigger: `${noModal} button[name=action_view_agreements]`,
            run: "click",
        },
        {
            trigger: ".o_form_view .o_billing_cell[data-status=draft]",
        },
    ],
});

/** Upgrade in mid-period: see credit and charge, then apply. */
tours.add("billing_clerk_upgrades", {
    steps: () => [
        {
            trigger: ".o_statusbar_buttons button:contains('Change plan')",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=change_type] input",
            run: "click",
        },
        {
            trigger: ".o_select_menu_item:contains('Quantity')",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=quantity] input",
            run: "edit 3 && press Tab",
        },
        {
            content: "both rows are shown, with their days",
            trigger: ".modal .o_billing_change_preview tr:contains('Credit')",
        },
        {
            trigger: ".modal .o_billing_change_preview tr:contains('Charge')",
        },
        {
            trigger: ".modal .o_billing_change_preview:contains('MRR')",
        },
        {
            trigger: ".modal footer button[name=action_apply]",
            run: "click",
        },
        {
            content: "the strip of the line shows the cut",
            trigger: `${noModal} .o_billing_cell[data-status=pending], ${noModal} .o_billing_cell:has(.o_billing_part_credited)`,
        },
        {
            trigger: ".o_form_view .o_field_widget[name=line_ids] .o_data_row:nth-child(2)",
        },
    ],
});

/** Cancel with refund: the preview says what goes back. */
tours.add("billing_manager_cancels_with_refund", {
    steps: () => [
        {
            trigger: ".o_statusbar_buttons button:contains('Cancel')",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=policy] .o_radio_input[data-value=refund]",
            run: "click",
        },
        {
            trigger: ".modal .o_billing_change_preview:contains('Paid back')",
        },
        {
            trigger: ".modal footer button[name=action_apply]",
            run: "click",
        },
        {
            trigger: `${noModal} .o_form_view .o_field_widget[name=cancel_date]`,
        },
        {
            trigger: ".o_billing_cell[data-status=part_credited]",
        },
    ],
});

/** After an outage: bill what is missing up to a period, waive one. */
tours.add("billing_manager_fills_the_gaps", {
    steps: () => [
        {
            trigger: ".o_billing_strip:contains('3 missing')",
        },
        {
            content: "the oldest gap",
            trigger: ".o_billing_cell[data-status=missing]:first",
            run: "click",
        },
        {
            content: "is waived, with a reason",
            trigger: ".o_billing_coverage_popover .o_billing_waive",
            run: "click",
        },
        {
            trigger: ".o_billing_coverage_popover button[type=submit]:disabled",
        },
        {
            trigger: "#o_billing_waive_reason",
            run: "edit Our outage",
        },
        {
            trigger: ".o_billing_coverage_popover button[type=submit]:enabled",
            run: "click",
        },
        {
            trigger: ".o_billing_strip:contains('2 missing') .o_billing_cell[data-status=covered]",
        },
        {
            content: "the newest gap is billed, with all before it",
            trigger: ".o_billing_cell[data-status=missing]:last",
            run: "click",
        },
        {
            trigger: ".o_billing_coverage_popover .o_billing_bill_now",
            run: "click",
        },
        {
            trigger: ".o_billing_strip:not(:contains('missing'))",
        },
        {
            content: "each caught up period has its own draft",
            trigger: ".alert-info:contains('2 periods were caught up')",
        },
        {
            content: "a click opens the document",
            trigger: ".o_billing_cell[data-status=draft]:last",
            run: "click",
        },
        {
            trigger: ".o_form_view button[name=action_view_agreements]",
        },
    ],
});

/** Import usage from a file: the rows are seen first, a bad one is refused by itself. */
tours.add("billing_clerk_imports_usage", {
    steps: () => [
        {
            trigger: ".o_menu_sections button:contains('Usage')",
            run: "click",
        },
        {
            trigger: ".dropdown-item:contains('Import Usage')",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=file] input[type=file]:not(:visible)",
            async run() {
                const day = new Date().toISOString().slice(0, 10);
                const rows = [
                    "id;at;value;account;meter",
                    `call-1;${day};400;C-100;calls`,
                    `call-2;${day};250;C-100;calls`,
                    `call-3;${day};;C-100;calls`,
                ];
                const file = new File([rows.join("\n")], "usage.csv", {type: "text/csv"});
                await inputFiles(".modal input.o_input_file", [file]);
            },
        },
        {
            content: "what would come is shown first",
            trigger: ".modal .o_field_widget[name=preview_text]:contains('call-2')",
        },
        {
            trigger: ".modal footer button[name=action_import]",
            run: "click",
        },
        {
            content: "two came, one is refused and says why",
            trigger: `${noModal} .o_form_view .o_field_widget[name=accepted]:contains('2')`,
        },
        {
            trigger: ".o_form_view .o_field_widget[name=refusal_text]:contains('call-3')",
        },
        {
            trigger: ".o_form_view button[name=action_view_usage]",
            run: "click",
        },
        {
            trigger: ".o_list_view .o_data_row:contains('250')",
        },
    ],
});
