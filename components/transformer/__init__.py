"""One GPT, plain torch: GPT-1's post-LN and GPT-2's pre-LN blocks, and exact accounting."""
