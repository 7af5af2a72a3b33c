"""What a trained model is worth: bits per byte beside simple compressors, and tasks it was never trained on."""
