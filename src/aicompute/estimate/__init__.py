"""From specs to answers: records of numbers, the composition of the formulas, scenarios, intervals."""
