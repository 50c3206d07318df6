"""What a model asks for: parameters, operators, footprints in memory, messages."""
