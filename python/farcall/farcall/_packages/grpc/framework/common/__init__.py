"""Words the old interfaces share."""
