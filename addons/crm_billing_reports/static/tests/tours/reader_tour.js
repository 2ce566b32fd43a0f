import {download} from "@web/core/network/download";
import {patch} from "@web/core/utils/patch";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const TIES = ".o_billing_report_tie_out.text-success";

/** Search a report for an account by its name. */
const searchAccount = (name) => [
    {
        trigger: ".o_searchview_input",
        run: `edit ${name}`,
    },
    {
        trigger: ".o_searchview_autocomplete .o-dropdown-item:contains('Account'):first",
        run: "click",
    },
    {
        trigger: `.o_searchview .o_facet_value:contains('${name}')`,
    },
];

/** An accountant makes the aging of a past day, down to the invoice, and takes it along. */
tours.add("reports_accountant_reads_the_aging", {
    steps: () => [
        {
            content: "the report ties as it opens",
            trigger: TIES,
        },
        ...searchAccount("Aging Reader"),
        {
            content: "so does what is left of it: half is paid today",
            trigger: `${TIES}:contains('300.00')`,
        },
        {
            trigger: ".o_billing_report_day",
            run: "edit 03/20/2020 && press Enter",
        },
        {
            content: "before the payment all of it was open, and it ties",
            trigger: `.o_searchview:contains('As of 03/20/2020')`,
        },
        {
            trigger: `${TIES}:contains('800.00')`,
        },
        {
            trigger: ".o_group_header:contains('Aging Reader')",
            run: "click",
        },
        {
            content: "nineteen days late is the first bucket",
            trigger: ".o_data_row td[name=bucket_1_30]:contains('800.00')",
        },
        {
            content: "zeros step back, figures do not",
            trigger:
                ".o_data_row:has(td[name=bucket_31_60].o_billing_zero):not(:has(td[name=bucket_1_30].o_billing_zero))",
        },
        {
            content: "also in the totals of the account",
            trigger: ".o_group_header:contains('Aging Reader') td.o_billing_zero",
        },
        {
            trigger: ".o_billing_report_export",
            run() {
                patch(download, {
                    async _download() {
                        await super._download(...arguments);
                        document.body.classList.add("o_billing_report_saved");
                    },
                });
            },
        },
        {
            trigger: ".o_billing_report_export",
            run: "click",
        },
        {
            trigger: ".o_billing_export_csv",
            run: "click",
        },
        {
            content: "the file is there",
            trigger: "body.o_billing_report_saved",
        },
        {
            trigger: ".o_data_row td[name=move_id]",
            run: "click",
        },
        {
            content: "the row is an invoice",
            trigger: ".o_form_view .o_field_widget[name=partner_id]:contains('Aging Reader'), .o_form_view .o_field_widget[name=partner_id] input:value('Aging Reader')",
        },
        {
            content: "and back to the same day",
            trigger: ".o_back_button, .breadcrumb-item a:contains('Aging')",
            run: "click",
        },
        {
            trigger: `.o_searchview:contains('As of 03/20/2020')`,
        },
        {
            trigger: `${TIES}:contains('800.00')`,
        },
    ],
});

/** A salesperson reads own accounts; what ties is not theirs to know. */
tours.add("reports_rep_reads_own_accounts", {
    steps: () => [
        {
            trigger: ".o_group_header:contains('Aging Reader')",
        },
        {
            content: "nobody else's account",
            trigger: ".o_list_view:not(:contains('Of Another Rep'))",
        },
        {
            content: "the banner has its day, and no sum of the company",
            trigger: ".o_billing_report_banner:has(.o_billing_report_day):not(:has(.o_billing_report_tie_out))",
        },
        {
            trigger: ".o_billing_report_buttons:not(:has(.o_billing_report_export))",
        },
        {
            trigger: ".o_switch_view.o_pivot",
            run: "click",
        },
        {
            content: "nothing is offered that is refused",
            trigger: ".o_pivot_view:has(.o_pivot_expand_button):not(:has(.o_pivot_download))",
        },
    ],
});

/** A manager reads the months, then the movements, and keeps the search. */
tours.add("reports_manager_reads_revenue", {
    url: "/odoo/recurring-revenue",
    steps: () => [
        {
            trigger: ".o_pivot th:contains('Closing MRR')",
        },
        {
            content: "who may export finds the download",
            trigger: ".o_pivot_view .o_pivot_download",
        },
        ...searchAccount("Revenue Reader"),
        {
            trigger: ".o_pivot .o_pivot_cell_value:contains('120.00')",
        },
        {
            trigger: ".o_main_navbar button:contains('Reporting')",
            run: "click",
        },
        {
            trigger: ".o-dropdown--menu .dropdown-item:contains('Movements')",
            run: "click",
        },
        {
            trigger: ".o_list_view .o_data_row td[name=kind]",
        },
        ...searchAccount("Revenue Reader"),
        {
            trigger:
                ".o_list_view .o_data_row:contains('Revenue Reader') td[name=amount]:contains('120.00')",
        },
        {
            trigger: ".o_searchview_dropdown_toggler",
            run: "click",
        },
        {
            trigger: ".o_add_favorite",
            run: "click",
        },
        {
            trigger: ".o_favorite_menu input[type=text]",
            run: "edit How Reader moved",
        },
        {
            trigger: ".o_save_favorite",
            run: "click",
        },
        {
            trigger: ".o_searchview .o_facet_value:contains('How Reader moved')",
        },
        {
            content: "the favourite shows the same",
            trigger:
                ".o_list_view .o_data_row:contains('Revenue Reader') td[name=amount]:contains('120.00')",
        },
    ],
});

registry.category("web_tour.tours").add("reports_rep_hands_off", {
    steps: () => [
        {
            trigger: ".o_data_row:contains('Mine To Hand Off') button[name=action_fix]",
        },
        {
            content: "what Billing does is read, and not offered",
            trigger: ".o_data_row:contains('Bill Of Billing'):not(:has(button[name=action_fix]))",
        },
    ],
});
