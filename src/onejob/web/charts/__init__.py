"""Charts as geometry: numbers in, coordinates and SVG path strings out.

In: values in their own units. Out: frozen dataclasses that a template writes as SVG.
Never: colours (the stylesheet's), HTML, or data access.
"""
