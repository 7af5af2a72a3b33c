"""What a model can do, forecast from smaller ones: pass rates of small tasks with one right answer (GPT-4 report, section 3.2)."""
