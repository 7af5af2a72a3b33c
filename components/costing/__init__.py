"""What work will cost, from what work has cost: estimates with an interval, and how long N at once take."""
