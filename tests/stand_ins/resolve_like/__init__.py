"""A strict stand-in for DaVinci Resolve: `manifest` says what there is, `objects` do it, `host` is the whole."""
