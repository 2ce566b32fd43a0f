import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const noModal = "body:not(:has(.modal))";

/**
 * A case with a person: note a promise, then a dispute and its end, give the case back
 * to automation, and see all of it with the account.
 */
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
            trigger: `${noModal} .o_field_widget[name=next_action]:contains('Promised until')`,
        },
        {
            content: "what happened is told in one place",
            trigger: ".o_field_widget[name=timeline]:contains('60.00')",
        },
        {
            content: "then the customer calls again",
            trigger: ".o_statusbar_buttons button[name=action_dispute]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=note] textarea",
            run: "edit Two seats too many",
        },
        {
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            content: "everything stops",
            trigger: `${noModal} .o_statusbar_status .o_arrow_button_current:contains('Disputed')`,
        },
        {
            trigger: ".o_field_widget[name=charger_note]:contains('Nobody')",
        },
        {
            trigger: ".o_field_widget[name=timeline]:contains('Two seats too many')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_resolve_dispute]",
            run: "click",
        },
        {
            content: "what was promised before holds again",
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Promised')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_release]",
            run: "click",
        },
        {
            content: "the next step is proposed, a later one is chosen",
            trigger: ".modal .o_field_widget[name=step_id] input",
            run: "edit mail +9",
        },
        {
            trigger: ".modal .o-autocomplete--dropdown-item a:contains('mail +9')",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            content: "the machine has it again",
            trigger: `${noModal} .o_statusbar_status .o_arrow_button_current:contains('Reminders')`,
        },
        {
            trigger: "button[name=action_view_account]",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=name]",
        },
        {
            content: "smart buttons that do not fit are in a menu",
            trigger: ".o_form_view .o-form-buttonbox",
            run({queryFirst}) {
                const timeline = "button[name=action_view_billing_timeline]";
                if (!queryFirst(timeline)) {
                    queryFirst(".o_button_more").click();
                }
            },
        },
        {
            trigger: "button[name=action_view_billing_timeline]",
            run: "click",
        },
        {
            content: "the account tells the same story",
            trigger: ".o_list_view .o_data_row:contains('Two seats too many')",
        },
        {
            trigger: ".o_list_view .o_data_row td[name=action]:contains('Promise')",
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
            content: "the steps on a calendar",
            trigger: ".o_dunning_calendar tr[data-kind=mail]:contains('+9')",
        },
        {
            content: "a step is moved",
            trigger:
                ".o_field_widget[name=step_ids] .o_data_row:contains('mail +9') td[name=days]",
            run: "click",
        },
        {
            trigger:
                ".o_field_widget[name=step_ids] .o_selected_row [name=days] input",
            run: "edit 11 && press Tab",
        },
        {
            content: "and the calendar with it",
            trigger: ".o_dunning_calendar tr[data-kind=mail]:contains('+11')",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "arming without a back-test is refused, in words",
            trigger: ".o_form_saved .o_statusbar_buttons button[name=action_arm]",
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
            trigger: `${noModal} button[name=action_backtest]`,
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
        {
            trigger: ".o_field_widget[name=armed_uid]",
        },
    ],
});

/** Nobody has to think twice before switching a policy off. */
tours.add("dunning_manager_disarms", {
    steps: () => [
        {
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Armed')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_disarm]",
            run: "click",
        },
        {
            trigger: ".modal .modal-body:contains('Nothing is mailed')",
        },
        {
            trigger: ".modal .modal-footer .btn-primary",
            run: "click",
        },
        {
            trigger: `${noModal} .o_statusbar_status .o_arrow_button_current:contains('Dry run')`,
        },
    ],
});
