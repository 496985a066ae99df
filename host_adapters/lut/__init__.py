"""The colour of a graph as a table for hosts: .cube and .dctl, with the table's error stated."""
