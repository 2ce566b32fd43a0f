import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** From the list to the invoice: what is overdue stands out there. */
const OPEN_INVOICE = [
    {
        content: "the list says what is overdue",
        trigger: "tr:has(.o_dunning_overdue) td a:contains('INV')",
        run: "click",
        expectUnloadPage: true,
    },
    {
        content: "the page says where the invoice stands",
        trigger: ".o_dunning_state:contains('was due on')",
    },
];

/** Promise a part of it, see that it was heard, and that nothing more is asked. */
tours.add("dunning_customer_promises", {
    url: "/my/invoices",
    steps: () => [
        ...OPEN_INVOICE,
        {
            trigger: ".o_dunning_promise summary",
            run: "click",
        },
        {
            content: "the day is chosen, as late as the policy lets",
            trigger: ".o_dunning_form_promise input[name=date]",
            run() {
                this.anchor.value = this.anchor.max;
            },
        },
        {
            trigger: ".o_dunning_form_promise input[name=amount]",
            run: "edit 40",
        },
        {
            trigger: ".o_dunning_form_promise button[type=submit]",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: ".o_dunning_answered .alert-success:contains('40.00')",
        },
        {
            trigger: ".o_dunning_answered a:contains('Back to the invoice')",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "it is not asked a second time",
            trigger:
                ".o_dunning_portal:not(:has(.o_dunning_promise)) .o_dunning_state:contains('Thank you')",
        },
    ],
});

tours.add("dunning_customer_complains", {
    url: "/my/invoices",
    steps: () => [
        ...OPEN_INVOICE,
        {
            trigger: ".o_dunning_problem summary",
            run: "click",
        },
        {
            trigger: ".o_dunning_form_problem select[name=problem]",
            run: "select order",
        },
        {
            trigger: ".o_dunning_form_problem textarea",
            run: "edit Our order number 4711 is missing",
        },
        {
            trigger: ".o_dunning_form_problem button[type=submit]",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: ".o_dunning_answered:contains('A colleague looks into it')",
        },
    ],
});

tours.add("dunning_customer_has_paid", {
    url: "/my/invoices",
    steps: () => [
        ...OPEN_INVOICE,
        {
            trigger: ".o_dunning_paid summary",
            run: "click",
        },
        {
            trigger: ".o_dunning_form_paid input[name=date]",
            run() {
                this.anchor.value = this.anchor.max;
            },
        },
        {
            trigger: ".o_dunning_form_paid input[name=reference]",
            run: "edit Transfer 4711",
        },
        {
            trigger: ".o_dunning_form_paid button[type=submit]",
            run: "click",
            expectUnloadPage: true,
        },
        {
            trigger: ".o_dunning_answered:contains('We are looking for the payment')",
        },
    ],
});

/** Pay a part of it with the saved card, to the end. */
tours.add("dunning_customer_pays", {
    url: "/my/invoices",
    steps: () => [
        ...OPEN_INVOICE,
        {
            trigger: ".o_dunning_part summary",
            run: "click",
        },
        {
            trigger: "#o_dunning_pay_amount",
            run: "edit 60",
        },
        {
            trigger: ".o_dunning_part button[type=submit]",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "the payment dialog opens with that amount",
            trigger: "#pay_with.show #o_payment_installments_tab:contains('60.00')",
        },
        {
            trigger:
                "#pay_with.show input[name=o_payment_radio][data-payment-option-type=token]",
            run: "click",
        },
        {
            trigger: "#pay_with.show button[name=o_payment_submit_button]:not(:disabled)",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "what is left is smaller now",
            trigger: ".o_dunning_state:contains('40.00')",
            timeout: 30000,
        },
    ],
});
