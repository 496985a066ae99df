"""DaVinci Resolve: shots of a timeline out, through a graph, and back as takes, tracks or replacements."""
