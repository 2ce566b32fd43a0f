import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** Win by dragging, see what blocks, fix it on the account, hand off. */
tours.add("billing_salesperson_wins", {
    url: "/odoo/crm",
    steps: () => [
        {
            content: "win the deal by dragging its card",
            trigger: ".o_kanban_record:contains('Deal with Fabrikam')",
            run: "drag_and_drop (.o_opportunity_kanban .o_kanban_group:has(.o_column_title:contains('Won')))",
        },
        {
            content: "the card says that Billing has it",
            trigger:
                ".o_kanban_group:has(.o_column_title:contains('Won')) .o_kanban_record:contains('Deal with Fabrikam') .o_field_widget[name=billing_state]:contains('Waiting')",
        },
        {
            content: "open the deal",
            trigger: ".o_kanban_record:contains('Deal with Fabrikam') .fw-bold",
            run: "click",
        },
        {
            content: "do not wait for the job",
            trigger: ".o_statusbar_buttons button[name=action_hand_off]",
            run: "click",
        },
        {
            trigger: "button[name=action_view_billing_handoff]:contains('Blocked')",
        },
        {
            content: "follow the link to what is missing",
            trigger:
                ".o_billing_banner:contains('Billing is blocked') [data-code]:contains('Accounts payable contact') .o_billing_fix",
            run: "click",
        },
        {
            content: "the account opens on its Billing tab",
            trigger: ".o_notebook .nav-link.active[name=billing]",
        },
        {
            content: "payment terms are Billing's",
            trigger:
                ".alert-info:contains('kept by Billing'), .o_field_widget[name=property_payment_term_id].o_readonly_modifier",
        },
        {
            content: "name the accounts payable contact",
            trigger: ".o_field_widget[name=billing_contact_id] input",
            run: "edit Paula Payable",
        },
        {
            trigger: ".o_m2o_dropdown_option_create_edit a",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=email] input",
            run: "edit paula@fabrikam.example.com",
        },
        {
            trigger: ".modal .o_form_button_save",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) .o_form_button_save",
            run: "click",
        },
        {
            trigger: ".o_billing_readiness:contains('Everything that Billing needs')",
        },
        {
            trigger: "body:has(.o_form_saved) .o_breadcrumb a:contains('Deal with Fabrikam')",
            run: "click",
        },
        {
            content: "nothing blocks any more",
            trigger:
                "body:not(:has(.o_billing_banner)) .o_statusbar_buttons button[name=action_hand_off]",
            run: "click",
        },
        {
            content: "the draft is there",
            trigger: "button[name=action_view_billing_handoff]:contains('Draft')",
        },
    ],
});

/** Look at what is red, say why it is right, post, send, and get the next draft. */
tours.add("billing_clerk_sends", {
    url: "/odoo/billing-review",
    steps: () => [
        {
            content: "the list names what differs",
            trigger:
                ".o_data_row:contains('Deal with Fabrikam') .text-bg-danger:contains('Amount before tax')",
        },
        {
            trigger: ".o_data_row:contains('Deal with Fabrikam') [name=billing_deal_names]",
            run: "click",
        },
        {
            trigger: "tr.table-danger[data-code=amount]",
        },
        {
            trigger: "tr[data-code=terms][data-status=ok]",
        },
        {
            content: "what differs cannot be sent before the review",
            trigger:
                ".o_statusbar_buttons:not(:has(button[name=action_billing_post_and_send])) button[name=action_billing_review]",
            run: "click",
        },
        {
            content: "a reason is asked for",
            trigger: ".modal:contains('write the reason') .modal-footer .btn-primary",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) .o_field_widget[name=billing_review_note] input",
            run: "edit Half a day agreed on the phone",
        },
        {
            trigger: "button[name=action_billing_review]",
            run: "click",
        },
        {
            trigger: "tr.table-warning[data-code=amount]",
        },
        {
            trigger: "button[name=action_billing_post_and_send]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('is posted')",
        },
        {
            content: "the next draft is in its place",
            trigger: ".o_form_view h2 .o_field_widget[name=commercial_partner_id]:contains('Contoso')",
        },
        {
            content: "and one step leads back to the list",
            trigger: ".o_breadcrumb .o_back_button, .o_breadcrumb a:contains('To Review')",
            run: "click",
        },
        {
            trigger: ".o_list_view:not(:contains('Deal with Fabrikam')):contains('Contoso')",
        },
    ],
});

/** Register the payment of an invoice in core's own form. */
tours.add("billing_accountant_pays", {
    steps: () => [
        {
            trigger: "button[name=action_register_payment]",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_create_payments]",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) .o_form_view:contains('Paid')",
        },
    ],
});

/** See on the deal that it is paid. */
tours.add("billing_salesperson_sees_paid", {
    steps: () => [
        {
            trigger: "button[name=action_view_billing_handoff]:contains('Paid')",
        },
        {
            trigger: ".o_notebook .nav-link[name=billing]",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=billing_state] .text-bg-success:contains('Paid')",
        },
    ],
});

/** Write a readiness rule: a broken one is refused, the corrected one is kept. */
tours.add("billing_manager_adds_a_rule", {
    url: "/odoo/billing-readiness/new",
    steps: () => [
        {
            trigger: ".o_field_widget[name=name] input",
            run: "edit Website",
        },
        {
            trigger: ".o_field_widget[name=message] textarea",
            run: "edit We look at the customer before we bill.",
        },
        {
            content: "neither field nor condition",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger:
                ".modal:contains('give either a field that must have a value') .modal-footer .btn-primary",
            run: "click",
        },
        {
            content: "choose the field of the account",
            trigger: "body:not(:has(.modal)) .o_field_widget[name=field_path] .o_model_field_selector",
            run: "click",
        },
        {
            trigger: ".o_model_field_selector_popover_search input",
            run: "edit website",
        },
        {
            trigger:
                ".o_model_field_selector_popover_item_name:contains(/^Website Link/), .o_model_field_selector_popover_item_name:contains(/^Website/)",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=field_path]:contains('Website')",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger: ".o_form_saved",
        },
    ],
});
