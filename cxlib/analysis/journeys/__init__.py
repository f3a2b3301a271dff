"""How customers move through touchpoints: from one to the next, through stages, at once, and where it goes wrong."""
