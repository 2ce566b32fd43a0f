"""What customers write back, in their own words and above what they quote."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dunning_rules import replies
from dunning_rules.replies import Rule, find_date, strip_quotes
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2027, 3, 10)
SHIPPED = "addons/crm_dunning/data/crm_dunning_reply_rule_data.xml"


def read_shipped_rules():
    """Return the words that come with the addon."""
    path = Path(__file__).resolve().parents[2] / SHIPPED
    for record in ElementTree.parse(path).iter("record"):
        values = {field.get("name"): field.text for field in record.iter("field")}
        words = tuple(values["words"].split("\n"))
        yield Rule(values["kind"], words, values["lang"])


RULES = list(read_shipped_rules())


def read(text, subject="", headers=None, rules=RULES, today=None):
    return replies.read(text, subject, headers or {}, rules, today)


def kind(text, **more):
    return read(text, **more).kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paid.", "paid"),
        ("This was paid last week, please check.", "paid"),
        ("We have already PAID this invoice", "paid"),
        ("The payment was made on Monday", "paid"),
        ("Die Rechnung haben wir gestern überwiesen.", "paid"),
        ("Wurde bereits bezahlt!", "paid"),
        ("La facture est déjà réglée.", "paid"),
        ("Wrong PO, please correct", "dispute"),
        ("The amount is incorrect", "dispute"),
        ("We have paid, but the wrong amount was billed", "dispute"),
        ("Falscher Betrag, bitte prüfen", "dispute"),
        ("Nous contestons cette facture", "dispute"),
        ("Please send to payables@example.com", "wrong_address"),
        ("Bitte wenden Sie sich an die Buchhaltung", "wrong_address"),
        ("We will pay next week", "promise"),
        ("It will be paid with our next payment run", "promise"),
        ("Wir werden am 15. zahlen, es wird überwiesen", "promise"),
        ("Sera payée la semaine prochaine", "promise"),
        ("Who are you?", "other"),
        ("", "other"),
        ("We have not paid yet", "other"),
        ("Why is it still unpaid?", "other"),
        ("When was it to be paid?", "other"),
        ("Noch nicht bezahlt", "other"),
        ("prepaid cards", "other"),
    ],
)
def test_what_it_says(text, expected):
    assert kind(text) == expected


def test_line_breaks_and_typographic_signs_do_not_matter():
    assert kind("We’ll\n   pay it soon") == "promise"
    assert kind("VIREMENT A ÉTÉ\neffectué") == "paid"


# === MACHINES === #


@pytest.mark.parametrize(
    ("headers", "header"),
    [
        ({"Auto-Submitted": "auto-replied"}, "Auto-Submitted"),
        ({"auto-submitted": "auto-generated; x=1"}, "Auto-Submitted"),
        ({"X-Autoreply": "yes"}, "X-Autoreply"),
        ({"X-AutoRespond": "Re: your mail"}, "X-Autorespond"),
        ({"Precedence": "Bulk"}, "Precedence"),
    ],
)
def test_a_machine_says_nothing(headers, header):
    found = read("We have paid, it is disputed, send to a@b.example", headers=headers)
    assert (found.kind, found.matched, found.email) == ("auto_reply", header, None)


@pytest.mark.parametrize(
    "headers", [{"Auto-Submitted": "no"}, {"Precedence": "normal"}, {"Subject": "x"}]
)
def test_a_person_is_no_machine(headers):
    assert kind("Paid", headers=headers) == "paid"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Automatic reply: Invoice", "I am away and invoices are paid by Ann."),
        ("Re: Invoice", "I am out of office until Monday."),
        ("Abwesenheitsnotiz: AW: Rechnung", "Bin zurück am 3."),
        ("AW: Rechnung", "Ich bin im Urlaub. Bereits bezahlt?"),
        ("Réponse automatique", "Bonjour"),
    ],
)
def test_typical_words_of_a_machine(subject, text):
    assert kind(text, subject=subject) == "auto_reply"


def test_the_subject_is_ours_and_says_nothing_of_theirs():
    assert kind("Hello", subject="Re: This invoice has not been paid") == "other"
    assert kind("Hello", subject="Re: paid?") == "other"


# === QUOTATIONS === #

OURS = "Your invoice is overdue. If it was already paid, ignore this. Dispute?"


@pytest.mark.parametrize(
    "text",
    [
        f"Thanks!\n\n> {OURS}\n> more",
        f"Thanks!\n\nOn Mon, 1 Mar 2027 at 10:00, Ann <a@b.example> wrote:\n{OURS}",
        f"Thanks!\n\nOn Mon, 1 Mar 2027 at 10:00, Ann\n<a@b.example> wrote:\n{OURS}",
        f"Thanks!\nAm 01.03.2027 um 10:00 schrieb Ann <a@b.example>:\n{OURS}",
        f"Thanks!\nLe lun. 1 mars 2027 à 10:00, Ann a écrit :\n{OURS}",
        f"Thanks!\r\n-----Original Message-----\r\n{OURS}",
        f"Thanks!\n________________________________\n{OURS}",
        f"Thanks!\nVon: Ann <a@b.example>\nGesendet: heute\n{OURS}",
        f"Thanks!\n-- \nAnn\n{OURS}",
    ],
)
def test_what_is_quoted_is_not_theirs(text):
    assert strip_quotes(text).strip() == "Thanks!"
    assert kind(text) == "other"


def test_what_stands_above_a_quotation_counts():
    assert kind(f"Paid on Monday\n\n> {OURS}") == "paid"
    assert kind("We have paid it\nFrom: Ann <a@b.example>\nhello") == "paid"


def test_an_ordinary_line_opens_no_quotation():
    text = "On Monday we had a problem.\nIt was paid on Tuesday."
    assert kind(text) == "paid"


# === DETAILS === #


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2027-03-15", date(2027, 3, 15)),
        ("am 15.03.2027", date(2027, 3, 15)),
        ("am 15.3.27", date(2027, 3, 15)),
        ("am 15.3.", date(2027, 3, 15)),
        ("am 1.2.", date(2028, 2, 1)),
        ("on 15 March", date(2027, 3, 15)),
        ("on the 15th of March 2027", date(2027, 3, 15)),
        ("March 15th, 2027", date(2027, 3, 15)),
        ("am 15. März", date(2027, 3, 15)),
        ("le 15 août", date(2027, 8, 15)),
        ("15/03/2027", date(2027, 3, 15)),
        ("03/15/2027", date(2027, 3, 15)),
        ("4/4/2027", date(2027, 4, 4)),
        ("03/04/2027", None),
        ("your mail of 1 March 2027, on 20 March 2027", date(2027, 3, 20)),
        ("tomorrow", date(2027, 3, 11)),
        ("demain", date(2027, 3, 11)),
        ("30 February", None),
        ("29 February 2028", date(2028, 2, 29)),
        ("invoice 2027-99-99 over 1.250.00", None),
        ("soon", None),
    ],
)
def test_the_day_of_a_promise(text, expected):
    assert find_date(text, TODAY) == expected
    assert read(f"We will pay {text}", today=TODAY).promised == expected


def test_without_today_no_date_is_read():
    assert read("We will pay on 15 March").promised is None


def test_the_address_that_is_named():
    found = read("Please send it to <Payables@Example.com>.")
    assert found.email == "payables@example.com"
    assert read("Please contact our accountants").email is None


def test_rules_are_editable():
    rules = [Rule("paid", ("pagado",), "es")]
    assert kind("Ya está pagado", rules=rules) == "paid"
    assert kind("Paid", rules=rules) == "other"
    with pytest.raises(ValueError, match="'angry'"):
        Rule("angry", ("x",))


@given(st.text(max_size=300), st.text(max_size=40))
def test_anything_can_be_read(text, subject):
    found = read(text, subject, {"Precedence": subject}, today=TODAY)
    assert found.kind
    assert found.promised is None or found.promised >= TODAY
