"""Performance as regulations count it, concentration of supply, arithmetic of training runs: pure functions of floats and arrays."""
