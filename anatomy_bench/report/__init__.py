"""What people read, made from ledgers alone: the terminal's table, Markdown, HTML with figures, two runs compared."""
