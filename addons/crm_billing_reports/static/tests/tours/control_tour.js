import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const noModal = "body:not(:has(.modal))";
const leak = (name) => `.o_list_view .o_data_row:has(td[name=subject]:contains('${name}'))`;

/** A clerk hands off what is complete by now: the leak is gone, and is theirs to fix. */
tours.add("reports_clerk_fixes_a_leak", {
    url: "/odoo/billing-leaks",
    steps: () => [
        {
            trigger: `${leak("Forgotten Deal")} td[name=amount]:contains('600.00')`,
        },
        {
            content: "waiving is up to a manager",
            trigger: ".o_list_view:not(:has(button[name=action_waive]))",
        },
        {
            trigger: `${leak("Forgotten Deal")} button[name=action_fix]`,
            run: "click",
        },
        {
            trigger: `.o_list_view:not(:has(.o_data_row:contains('Forgotten Deal'))) .o_data_row:contains('Given Away')`,
        },
    ],
});

/** A manager accepts that a deal is not billed, and says why. */
tours.add("reports_manager_waives_a_leak", {
    url: "/odoo/billing-leaks",
    steps: () => [
        {
            trigger: `${leak("Given Away")} button[name=action_waive]`,
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=summary]:contains('90.00')",
        },
        {
            trigger: ".modal .o_field_widget[name=reason] :is(input, textarea)",
            run: "edit Goodwill of the founder",
        },
        {
            trigger: ".modal button[name=action_confirm]",
            run: "click",
        },
        {
            trigger: `${noModal} .o_list_view:not(:has(.o_data_row:contains('Given Away')))`,
        },
    ],
});

/** A difference of the month is explained, and then the month is certified. */
tours.add("reports_manager_certifies_a_month", {
    url: "/odoo/billing-match",
    steps: () => [
        {
            content: "the other books say another amount",
            trigger:
                ".o_data_row:contains('Northwind') td[name=reason]:contains('Amount')",
        },
        {
            content: "each row that differs can be explained where it stands",
            trigger: ".o_data_row:contains('Northwind') button[name=action_explain]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=text] input",
            run: "edit Rounded there",
        },
        {
            trigger: ".modal button[name=action_explain]",
            run: "click",
        },
        {
            content: "nothing is left to explain",
            trigger: `${noModal} .o_view_nocontent:contains('Both sides agree')`,
        },
        {
            trigger: ".o_main_navbar button:contains('Books')",
            run: "click",
        },
        {
            trigger: ".o-dropdown--menu .dropdown-item:contains('Certificates')",
            run: "click",
        },
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            content: "the books and the last whole month are filled in",
            trigger: ".o_form_view .o_field_widget[name=system_id] input:value('Their Books')",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_certify]",
            run: "click",
        },
        {
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Certified')",
        },
        {
            content: "the paper is at hand",
            trigger: ".o_statusbar_buttons button[name=action_download]",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_verify]",
            run: "click",
        },
        {
            content: "both sides are still as certified",
            trigger: ".o_form_view:not(:has(.alert-danger)) .o-mail-Chatter",
        },
    ],
});
