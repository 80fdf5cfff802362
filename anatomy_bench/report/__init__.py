"""What people read, made from ledgers alone: the table in the terminal, Markdown, HTML with figures, comparisons."""
