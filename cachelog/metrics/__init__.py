"""Small frames that several detectors share."""
