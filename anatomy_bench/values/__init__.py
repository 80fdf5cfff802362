"""Values that every room shares: records, intervals, statistics, texts, measurements."""
