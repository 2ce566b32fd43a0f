import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** A case with a person: note the promise, then give it back to automation. */
tours.add("dunning_collector", {
    url: "/odoo/collections",
    steps: () => [
        {
            content: "find the case among those with a person",
            trigger:
                ".o_kanban_group:has(.o_column_title:contains('With a person')) .o_kanban_record:contains('Fabrikam') .fw-bold",
            run: "click",
        },
        {
            content: "the case says why, and what to do",
            trigger: ".o_field_widget[name=reason]:contains('Still overdue')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_promise]",
            run: "click",
        },
        {
            content: "the customer wants to pay a part",
            trigger: ".modal .o_field_widget[name=is_partial] input",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=amount] input",
            run: "edit 60",
        },
        {
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            content: "nothing happens before that day is over",
            trigger:
                "body:not(:has(.modal)) .o_field_widget[name=next_action]:contains('Promised until')",
        },
        {
            content: "what happened is told in one place",
            trigger: ".o_field_widget[name=timeline]:contains('60.00')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_release]",
            run: "click",
        },
        {
            content: "the next step is proposed",
            trigger: ".modal .o_field_widget[name=step_id] input",
        },
        {
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            content: "the machine has it again",
            trigger:
                "body:not(:has(.modal)) .o_statusbar_status .o_arrow_button_current:contains('Reminders')",
        },
    ],
});

/** A policy is played on the last months, read, and armed with the password. */
tours.add("dunning_manager_arms", {
    steps: () => [
        {
            content: "nothing of it leaves the house yet",
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Dry run')",
        },
        {
            content: "arming without a back-test is refused, in words",
            trigger: ".o_statusbar_buttons button[name=action_arm]",
            run: "click",
        },
        {
            trigger: ".modal .modal-body:contains('back-test')",
        },
        {
            trigger: ".modal .modal-footer button",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) button[name=action_backtest]",
            run: "click",
        },
        {
            content: "who would have got what",
            trigger: ".o_field_widget[name=mail_count]",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_read]",
            run: "click",
        },
        {
            trigger:
                "body:not(:has(button[name=action_read])) .o_breadcrumb .o_back_button a:contains('Friendly')",
            run: "click",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_arm]",
            run: "click",
        },
        {
            content: "a person at the keyboard decides",
            trigger: ".modal .o_field_widget[name=password] input",
            run: "edit billing_manager",
        },
        {
            trigger: ".modal button[name=run_check]",
            run: "click",
        },
        {
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Armed')",
        },
    ],
});
