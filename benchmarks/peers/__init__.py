"""Tools that benchmarks/ runs in processes of their own."""
