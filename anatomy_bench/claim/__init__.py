"""Claims, the numbers that papers print, and what verdicts add up to."""
