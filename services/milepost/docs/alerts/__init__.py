"""Alert rules and Alertmanager's configuration, generated: from the objectives, and from what the platform tells of itself."""
