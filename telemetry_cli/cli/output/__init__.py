"""Results to text. Nothing else in the program prints."""
