"""What one run found, as a self-contained page and a summary for scripts."""
