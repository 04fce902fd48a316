"""Sensor models measured from data: from a source alone, and against a finer DTM."""
