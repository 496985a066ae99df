"""A strict stand-in for DaVinci Resolve: `manifest` says what there is, `clips` and `objects` do it, `host` is all."""
