"""Nodes that change the number of pixels, or take back what cost detail: enlarging, blocks, blur."""
