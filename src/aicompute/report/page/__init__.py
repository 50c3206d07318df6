"""The report: one page of pictures with their tables, and sliders that recompute cost; and the numbers behind it."""
