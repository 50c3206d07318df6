"""What follows from the numbers: rules, supply and other decisions, on top of specs and estimates."""
