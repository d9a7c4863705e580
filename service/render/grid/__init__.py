"""The weight grid: its options, its layout, its tiles and its pixels."""
