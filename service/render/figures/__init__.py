"""Figures: charts, connection pictures, overlays and badges."""
