"""What the customer sees of a late invoice, and answers: paid, a problem, a day."""
