import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const row = (name) =>
    `.o_field_widget[name=line_ids] .o_data_row:has(td[name=name]:contains('${name}'))`;

/**
 * A batch for other books: collect, give a refused customer another name there, hand
 * out with the password, and find the files and the crosswalk.
 */
tours.add("books_hand_out", {
    url: "/odoo/billing-books-batches",
    steps: () => [
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            content: "the books of the company are filled in",
            trigger: ".o_field_widget[name=system_id] input:value('QuickBooks')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_collect]",
            run: "click",
        },
        {
            content: "the cause stands above the invoice that it holds up",
            trigger:
                ".o_field_widget[name=line_ids] .o_data_row:first td[name=entity]:contains('Customers')",
        },
        {
            content: "a vendor there has the name of our customer",
            trigger: `${row("Northwind")} td[name=issue]:contains('vendor')`,
        },
        {
            content: "so it gets another name there",
            trigger: `${row("Northwind")} td[name=external_name]`,
            run: "click",
        },
        {
            trigger:
                ".o_field_widget[name=line_ids] .o_selected_row [name=external_name] input",
            run: "edit Northwind Customer",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_collect]",
            run: "click",
        },
        {
            content: "now the other side would take it",
            trigger: `${row("Northwind")} td[name=state]:contains('Ready')`,
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_hand_out]",
            run: "click",
        },
        {
            content: "a person at the keyboard hands out",
            trigger: ".modal .o_field_widget[name=password] input",
            run: "edit billing_manager",
        },
        {
            trigger: ".modal button[name=run_check]",
            run: "click",
        },
        {
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Handed out')",
        },
        {
            content: "the files to import there",
            trigger: ".o_field_widget[name=attachment_ids]:contains('invoices-1.csv')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_verify]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('as they were handed out')",
        },
        {
            trigger: ".o_navbar button:contains('Books'), .o_main_navbar button:contains('Books')",
            run: "click",
        },
        {
            trigger: ".o-dropdown--menu .dropdown-item:contains('Crosswalk')",
            run: "click",
        },
        {
            content: "which record is which one there",
            trigger:
                ".o_list_view .o_data_row:contains('Northwind Customer') td[name=state]:contains('Handed out')",
        },
    ],
});
