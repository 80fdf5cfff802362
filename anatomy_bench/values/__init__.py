"""Values that are written down or computed with: records, intervals, statistics, texts, measurements."""
