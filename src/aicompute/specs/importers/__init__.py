"""Readers of other formats that give the text of a spec file."""
