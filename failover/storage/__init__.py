"""The cellar: what survives a restart. SQLite for real, memory for tests and throw-away games."""
