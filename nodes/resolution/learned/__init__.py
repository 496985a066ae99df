"""Super-resolution by trained nets: the nets, their weights, and how both are made and used."""
