"""A strict stand-in for DaVinci Resolve: `manifest` says what there is, `host` behaves so."""
