"""The face interface: RPCs as the beta API knows them."""
