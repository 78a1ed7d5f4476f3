"""The pure core: values in, effects out. No input or output, no clock, no global randomness."""
