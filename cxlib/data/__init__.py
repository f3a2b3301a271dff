"""From raw files to tables that a plan can run on: sources, ingest, store, and the demo company."""
