import {inputFiles} from "@web/../tests/utils";
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

const HEADING = "Type,Number,Customer,Date,Amount";
const choose = (name, amount) => ({
    content: `choose ${name}`,
    trigger: ".modal .o_field_widget[name=file]",
    async run() {
        const text = `${HEADING}\nInvoice,INV/TOUR/0001,Northwind,2026-03-05,${amount}\n`;
        await inputFiles(".modal .o_field_widget[name=file] input[type=file]", [
            new File([text], name, {type: "text/csv"}),
        ]);
    },
});
const chosen = (name) => ({
    trigger: `.modal .o_field_widget[name=file] input:value('${name}')`,
});
const check = {
    trigger: ".modal button[name=action_check]:contains('Check')",
    run: "click",
};

/**
 * A list of the other books: what is wrong in it is said row by row, the dry run says
 * what would change, and what was read stands on the board and opens its document.
 */
tours.add("books_read_a_list", {
    url: "/odoo/billing-match",
    steps: () => [
        {
            trigger: ".o_main_navbar button:contains('Books')",
            run: "click",
        },
        {
            trigger: ".o-dropdown--menu .dropdown-item:contains('Read a List')",
            run: "click",
        },
        {
            content: "the books of the company are filled in",
            trigger: ".modal .o_field_widget[name=system_id] input:value('Their Books')",
        },
        choose("wrong.csv", "a lot"),
        chosen("wrong.csv"),
        check,
        {
            content: "the row, the column and what is wrong",
            trigger:
                ".modal .o_data_row:has(td[name=row]:contains('2')):has(td[name=column]:contains('amount')) td[name=value]:contains('a lot')",
        },
        choose("right.csv", "119.00"),
        chosen("right.csv"),
        check,
        {
            content: "a dry run",
            trigger: ".modal .alert-success:contains('Nothing is written yet')",
        },
        {
            trigger: ".modal button[name=action_import]",
            run: "click",
        },
        {
            content: "the row opens its document",
            trigger:
                "body:not(:has(.modal)) .o_data_row:contains('INV/TOUR/0001'):has(td[name=reason]:contains('Amount')) td[name=partner_id]",
            run: "click",
        },
        {
            trigger: ".o_form_view:contains('INV/TOUR/0001')",
        },
    ],
});
