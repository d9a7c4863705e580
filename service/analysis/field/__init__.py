"""What a unit sees: dependence, intervals, taps, and the numbers read off them."""
