"""In which words a payer is reminded, by how it has paid so far."""

from dataclasses import dataclass
from fractions import Fraction
from statistics import median

TONES = ("gentle", "neutral", "firm")


@dataclass(frozen=True)
class ToneRules:
    """What counts as punctual and as serially late, for a manager to change.

    :param tolerance_days: so many days late are still on time
    :param enough: so many paid invoices are a habit
    :param punctual_share: of late invoices, up to which a payer is punctual
    :param serial_share: of late invoices, from which on a payer is serially late
    """

    tolerance_days: int = 3
    enough: int = 3
    punctual_share: Fraction = Fraction(1, 10)
    serial_share: Fraction = Fraction(1, 2)


@dataclass(frozen=True)
class PayerHistory:
    """How a payer has paid.

    :param days_late: of each paid invoice, negative for early
    :param overdue_before: how many invoices were overdue before this situation, paid by
        now or not
    """

    days_late: tuple[int, ...] = ()
    overdue_before: int = 0

    @property
    def invoices_paid(self) -> int:
        return len(self.days_late)


@dataclass(frozen=True)
class Tone:
    """The tone, and why.

    :param reason: ``first_overdue``, ``punctual``, ``serial_late`` or ``step``
    :param facts: numbers that the reason is explained with
    """

    name: str
    reason: str
    facts: dict[str, int]


DEFAULT = ToneRules()


def choose(history: PayerHistory, stage: str, rules: ToneRules = DEFAULT) -> Tone:
    """Return the tone of a message.

    The first overdue ever and a punctual payer are told gently, whoever is late again
    and again firmly; everybody else as the step says.

    :param stage: tone of the step
    """
    if stage not in TONES:
        raise ValueError(f"{stage!r} is no tone")
    late = [days for days in history.days_late if days > rules.tolerance_days]
    facts = {
        "paid": history.invoices_paid,
        "late": len(late),
        "median_days": round(median(late)) if late else 0,
    }
    if not history.overdue_before and not late:
        return Tone("gentle", "first_overdue", facts)
    if history.invoices_paid >= rules.enough:
        share = Fraction(len(late), history.invoices_paid)
        if share <= rules.punctual_share:
            return Tone("gentle", "punctual", facts)
        if share >= rules.serial_share:
            return Tone("firm", "serial_late", facts)
    return Tone(stage, "step", facts)
