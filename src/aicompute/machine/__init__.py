"""What the hardware gives: kernels, collectives, power, failures. Pure formulas over floats and arrays."""
