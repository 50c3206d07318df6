"""Answers for people and programs: tables, JSON, markdown, HTML."""
