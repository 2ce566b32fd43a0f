import { registry } from "@web/core/registry";

const TIES = ".o_billing_report_tie_out.text-success";

registry.category("web_tour.tours").add("billing_report_as_of", {
    steps: () => [
        {
            content: "The report ties today",
            trigger: TIES,
        },
        {
            trigger: ".o_billing_report_export",
        },
        {
            content: "Make it for a day after the payment",
            trigger: ".o_billing_report_day",
            run: "edit 06/10/2020 && press Enter",
        },
        {
            content: "The day is in the search",
            trigger: ".o_facet_value:contains('As of 06/10/2020')",
        },
        {
            content: "It ties on that day as well",
            trigger: `${TIES}:contains('234.50')`,
        },
        {
            content: "Another day replaces the first",
            trigger: ".o_billing_report_day",
            run: "edit 05/31/2020 && press Enter",
        },
        {
            trigger:
                ".o_searchview:contains('As of 05/31/2020'):not(:contains('06/10/2020'))",
        },
        {
            content: "The pivot keeps the day",
            trigger: ".o_switch_view.o_pivot",
            run: "click",
        },
        {
            trigger: ".o_pivot_view .o_billing_report_tie_out.text-success",
        },
        {
            trigger: ".o_pivot:contains('1,234.50')",
        },
        {
            content: "So does the graph",
            trigger: ".o_switch_view.o_graph",
            run: "click",
        },
        {
            trigger: ".o_graph_view .o_billing_report_tie_out.text-success",
        },
        {
            content: "Back to today",
            trigger: ".o_billing_report_today",
            run: "click",
        },
        {
            trigger: ".o_searchview:not(:contains('As of'))",
        },
        {
            trigger: ".o_billing_report_dates:not(:has(.o_billing_report_today))",
        },
    ],
});

registry.category("web_tour.tours").add("billing_report_differs", {
    steps: () => [
        {
            content: "A difference is red, and says how much",
            trigger: ".o_billing_report_tie_out.text-danger:contains('differs by'):contains('12.00')",
        },
        {
            content: "And shows its documents",
            trigger: ".o_billing_report_culprits",
            run: "click",
        },
        {
            trigger: ".breadcrumb-item.active:contains('Causes of the difference'), .o_breadcrumb .active:contains('Causes of the difference')",
        },
        {
            trigger: ".o_list_view .o_data_row",
        },
    ],
});
