"""The loss of a large run, forecast from small ones."""
