"""What people read: the terminal's verdict table and the Markdown report, both made from a ledger alone."""
