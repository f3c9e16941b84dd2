"""What the figures share: reading runs, style, lines, tables, small print, rendering."""
