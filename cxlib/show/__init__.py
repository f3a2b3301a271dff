"""Charts and tables for people: result frames in, pictures and HTML out; nothing is computed here."""
