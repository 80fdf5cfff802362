"""What every room may use: errors, progress, files that appear whole or not at all, and the cache."""
