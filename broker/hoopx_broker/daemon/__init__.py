"""The service: composes all rooms; the only place that knows everyone."""
