"""One run: what is asked for, what is stored, what is measured, and how it is judged."""
