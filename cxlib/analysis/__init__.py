"""One question, one room: journeys, voice, drivers and the rest move in with the issues that need them."""
