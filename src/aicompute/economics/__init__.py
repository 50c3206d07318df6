"""Capital, energy, operation and carbon: pure functions of floats and arrays in SI units."""
