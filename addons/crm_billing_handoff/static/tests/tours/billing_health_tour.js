import {registry} from "@web/core/registry";

/** A job is switched off: opening Billing says so, and the page says what to do. */
registry.category("web_tour.tours").add("billing_manager_hears_of_silence", {
    url: "/odoo/billing-accounts",
    steps: () => [
        {
            content: "news arrive without a mail and without a job",
            trigger:
                ".o_notification:contains('Billing needs attention'):contains('process handoffs')",
        },
        {
            trigger: ".o_notification .o_notification_buttons button:contains('Health')",
            run: "click",
        },
        {
            content: "the page says what to do",
            trigger:
                ".o_data_row:contains('process handoffs'):has(.badge:contains('Off')):contains('Switch the job on')",
        },
        {
            content: "a monitor outside gets an address",
            trigger: ".o_control_panel button[name=action_address]",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_renew]:contains('Make')",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=url]:contains('/billing/health?token=')",
        },
        {
            trigger: ".modal .modal-footer button:contains('Close')",
            run: "click",
        },
        {
            content: "it is not told twice",
            trigger: "body:not(:has(.modal)):not(:has(.o_notification))",
        },
    ],
});
