import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const noModal = "body:not(:has(.modal))";

/** The account owes: the deal says so, and its quotation is not confirmed. */
tours.add("dunning_salesperson_is_stopped", {
    steps: () => [
        {
            content: "the deal says how much, since when",
            trigger:
                ".o_form_view .alert-warning:contains('250.00'):contains('12 days')",
        },
        {
            trigger: ".o_form_view .oe_stat_button[name=action_view_sale_quotation]",
            run: "click",
        },
        {
            content: "so does the quotation",
            trigger:
                ".o_form_view .alert-warning:contains('250.00'):contains('cannot be confirmed')",
        },
        {
            content: "allowing it is not up to Sales",
            trigger: ".o_form_view .alert-warning:not(:has([name=action_allow_overdue]))",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_confirm]",
            run: "click",
        },
        {
            content: "who can help is named",
            trigger: ".modal .modal-body:contains('billing manager can allow it')",
        },
        {
            trigger: ".modal .modal-footer button",
            run: "click",
        },
        {
            trigger: `${noModal} .o_statusbar_status .o_arrow_button_current:contains('Quotation')`,
        },
        {
            content: "the case is one click away",
            trigger: ".alert-warning button[name=action_view_dunning_cases]",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=amount_residual]:contains('250.00')",
        },
        {
            content: "to be read: Billing works it",
            trigger:
                ".o_form_view .o_form_statusbar:not(:has(button[name=action_take_over]))",
        },
    ],
});

/** A billing manager allows the order, with a reason. */
tours.add("dunning_manager_allows_the_order", {
    steps: () => [
        {
            trigger: ".alert-warning button[name=action_allow_overdue]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=reason] input",
            run: "edit Prepaid",
        },
        {
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            trigger: `${noModal} .alert-warning:contains('Allowed by'):contains('Prepaid')`,
        },
    ],
});

/** What was allowed is confirmed. */
tours.add("dunning_salesperson_confirms", {
    steps: () => [
        {
            trigger: ".o_form_view .alert-warning:contains('Prepaid')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_confirm]",
            run: "click",
        },
        {
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Sales Order')",
        },
    ],
});
