"""The best plan of a scenario, and systems compared at theirs."""
