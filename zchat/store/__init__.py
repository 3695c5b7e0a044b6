"""Where rooms are numbered and kept."""
